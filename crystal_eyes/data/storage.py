"""Bytes in a folder or in S3: pictures that datasets name, and shards.

A path is a plain one, `s3://BUCKET/KEY`, or a part of a shard: `SHARD#OFFSET-LENGTH`. For S3, credentials, region and endpoint
are those of the environment (AWS_ACCESS_KEY_ID, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL...) or of the AWS configuration files.
"""

import os
import re
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from crystal_eyes import s3_errors
from crystal_eyes.errors import UserError, said

S3 = "s3://"
PART = re.compile(r"(?P<shard>.+\.parquet)#(?P<offset>\d+)-(?P<length>\d+)", re.DOTALL)
CONNECT_SECONDS, REQUEST_SECONDS, ATTEMPTS = 10, 60, 3


class StorageError(UserError):
    """Storage that can't be used at present, which says nothing about a single picture."""


class StoredFile(NamedTuple):
    """One file of a listing."""

    name: str  # below the place
    bytes: int
    changed: str  # when, as the storage says it


def is_remote(path: str | Path) -> bool:
    return str(path).startswith(S3)


def read_bytes(path: str | Path) -> bytes:
    """The contents of a path (see above). Raises OSError for a plain file that can't be read, StorageError for the others."""
    text = os.fspath(path)
    if part := PART.fullmatch(text):
        place, name = split(part["shard"])
        return Place(place).read_part(name, int(part["offset"]), int(part["length"]))
    if not is_remote(text):
        return Path(text).read_bytes()
    place, name = split(text)
    return Place(place).read(name)


def split(path: str) -> tuple[str, str]:
    """The folder of a path, and its name."""
    place, _, name = path.rpartition("/")
    return place, name


class Place:
    """A folder, or a prefix of a bucket: `s3://BUCKET/PREFIX`. Every method raises StorageError where it can't be used."""

    def __init__(self, text: str | Path):
        self.text = str(text).rstrip("/")
        self.remote = is_remote(self.text)

    def __str__(self) -> str:
        return self.text

    def below(self, name: str) -> "Place":
        return Place(f"{self.text}/{name}")

    def path(self, name: str) -> str:
        return f"{self.text}/{name}"

    def read(self, name: str) -> bytes:
        if not self.remote:
            return self._local(lambda: Path(self.text, name).read_bytes(), name)
        return self._asked(lambda fs, path: _content(fs, path), name)

    def read_part(self, name: str, offset: int, length: int) -> bytes:
        if self.remote:
            return self._asked(lambda fs, path: _content(fs, path, offset, length), name)

        def read() -> bytes:
            with open(self.path(name), "rb") as file:
                return os.pread(file.fileno(), length, offset)

        return self._local(read, name)

    def open(self, name: str) -> Any:
        """A file for pyarrow to read parts of."""
        if self.remote:
            return self._asked(lambda fs, path: fs.open_input_file(path), name)
        return self._local(lambda: open(self.path(name), "rb"), name)

    def size(self, name: str) -> int | None:
        """Bytes of a file; None: there is none."""
        if not self.remote:
            path = Path(self.text, name)
            return path.stat().st_size if path.is_file() else None

        def size(fs: Any, path: str) -> int | None:
            info = fs.get_file_info(path)
            return info.size if info.is_file else None

        return self._asked(size, name)

    def write(self, name: str, data: bytes) -> None:
        """Write a file as a whole: nobody sees a part of it."""
        if self.remote:
            self._asked(lambda fs, path: _write(fs, path, data), name)
            return
        Path(self.text).mkdir(parents=True, exist_ok=True)  # a full disk is no StorageError: errors.one_line knows it
        with tempfile.NamedTemporaryFile(dir=self.text, prefix=".", delete=False) as file:
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                os.chmod(file.name, 0o644)
                os.replace(file.name, self.path(name))
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise

    def files(self) -> list[StoredFile]:
        """All files at the place and below it, sorted by name."""

        def listed(fs: Any, path: str) -> list[StoredFile]:
            from pyarrow.fs import FileSelector

            found = fs.get_file_info(FileSelector(path, recursive=True))
            start = len(path.rstrip("/")) + 1
            return [StoredFile(one.path[start:], one.size, str(one.mtime_ns)) for one in found if one.is_file]

        return sorted(self._asked(listed, ""))

    def level(self) -> tuple[list[StoredFile], list[str]]:
        """In S3: the files at the place itself and the names of the folders in it, sorted; nothing where there is nothing."""

        def listed(fs: Any, path: str) -> tuple[list[StoredFile], list[str]]:
            from pyarrow.fs import FileSelector

            try:
                found = fs.get_file_info(FileSelector(path))
            except FileNotFoundError:  # that a bucket is gone is another error
                return [], []
            files = [StoredFile(one.base_name, one.size, str(one.mtime_ns)) for one in found if one.is_file]
            return sorted(files), sorted(one.base_name for one in found if not one.is_file)

        return self._asked(listed, "")

    def _asked(self, ask: Any, name: str) -> Any:
        whole = f"{self.text}/{name}".rstrip("/")
        try:
            return ask(_s3(os.getpid()), whole.removeprefix(S3))
        except OSError as error:
            bucket = whole.removeprefix(S3).partition("/")[0]
            raise StorageError(f"{whole}: {_reason(error, bucket)}") from None
        except ValueError as error:  # a name that no bucket can have
            raise StorageError(f"{whole} is not a place in S3: {str(error).splitlines()[0]}") from None

    def _local(self, read: Any, name: str) -> Any:
        try:
            return read()
        except OSError as error:
            raise StorageError(f"{self.path(name)} can't be read: {said(error)}") from None


def _reason(error: OSError, bucket: str) -> str:
    if isinstance(error, FileNotFoundError):  # of a file or of its bucket: the answer does not say which
        from pyarrow.fs import FileType

        try:
            if _s3(os.getpid()).get_file_info(bucket).type == FileType.NotFound:
                return s3_errors.NO_BUCKET
        except OSError:  # the bucket may not be asked for
            pass
        return "it does not exist (any more)"
    return s3_errors.reason(error) or said(error)


def _content(fs: Any, path: str, offset: int = 0, length: int | None = None) -> bytes:
    with fs.open_input_file(path) as file:
        return file.read() if length is None else file.read_at(length, offset)


def _write(fs: Any, path: str, data: bytes) -> None:
    with fs.open_output_stream(path) as file:
        file.write(data)


@cache
def _s3(process: int) -> Any:
    """A client for this process: its connections are not those of a process that was forked."""
    # otherwise uploads have a checksum behind them, which not every server of S3's protocol takes
    os.environ.setdefault("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    from pyarrow import fs  # here: its S3 client starts threads

    strategy = fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS)
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")  # pyarrow reads neither
    # delayed: one request writes a shard
    return fs.S3FileSystem(
        endpoint_override=endpoint, connect_timeout=CONNECT_SECONDS, request_timeout=REQUEST_SECONDS, retry_strategy=strategy,
        allow_delayed_open=True,
    )  # fmt: skip
