"""The files of a collection as pieces named by their content: what did not change is neither sent nor fetched again."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from crystal_eyes.collection.storage import DATABASE
from crystal_eyes.errors import UserError
from crystal_eyes.progress import track
from crystal_eyes.vectors import EMBEDDINGS, SKETCHES

FILES = (DATABASE, EMBEDDINGS, SKETCHES)
FORMAT = 1
SIZE = 8_000_000  # bytes of a piece
AT_ONCE = 8  # pieces that are sent or fetched
FEW = 8  # pieces, for which no progress is shown


class Piece(NamedTuple):
    file: str
    offset: int
    size: int
    digest: str


class Version(NamedTuple):
    """What a version consists of."""

    files: dict[str, int]  # size of each file in bytes
    pieces: list[Piece]

    def to_bytes(self) -> bytes:
        return json.dumps({"format": FORMAT, "files": self.files, "pieces": [list(one) for one in self.pieces]}).encode()

    @classmethod
    def from_bytes(cls, data: bytes, address: str) -> "Version":
        """Raises UserError: it can't be read."""
        try:
            values = json.loads(data)
            found = int(values["format"])
            if found == FORMAT:
                files = {name: int(values["files"][name]) for name in FILES if name in values["files"]}
                pieces = [Piece(str(f), int(o), int(s), str(d)) for f, o, s, d in values["pieces"]]
                if all(one.file in files and 0 <= one.offset <= files[one.file] - one.size for one in pieces):
                    return cls(files, pieces)
        except (ValueError, KeyError, TypeError, AttributeError):
            found = FORMAT
        if found != FORMAT:
            raise UserError(f"the collection {address} has format {found}, this version reads {FORMAT}")
        raise UserError(f"the collection {address} can't be read: it is damaged; index into a new folder") from None


def version_of(folder: Path) -> Version:
    """What the files of a collection in a folder consist of."""
    files, pieces = {}, []
    for name in FILES:
        path = folder / name
        if not path.is_file():  # before there are heads
            continue
        files[name] = path.stat().st_size
        with open(path, "rb") as file:
            for offset in range(0, files[name], SIZE):
                data = file.read(min(SIZE, files[name] - offset))
                pieces.append(Piece(name, offset, len(data), digest_of(data)))
    return Version(files, pieces)


def digest_of(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def read(folder: Path, piece: Piece) -> bytes | None:
    """A piece of a file in a folder; None: it is not there, or not any more."""
    try:
        with open(folder / piece.file, "rb") as file:
            data = os.pread(file.fileno(), piece.size, piece.offset)
    except OSError:
        return None
    return data if digest_of(data) == piece.digest else None


def assemble(version: Version, folder: Path, fetch: Callable[[Piece], bytes]) -> None:
    """Write the files of a version to a folder, in which some pieces may be already, as after an interruption.

    fetch: gives a piece that is missing. Raises what fetch raises; OSError: the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        if name not in version.files:
            (folder / name).unlink(missing_ok=True)
    for name, size in version.files.items():
        with open(folder / name, "ab"):
            os.truncate(folder / name, size)

    def write(piece: Piece) -> None:
        data = fetch(piece)
        with open(folder / piece.file, "r+b") as file:
            file.seek(piece.offset)
            file.write(data)

    in_parallel(write, [one for one in version.pieces if read(folder, one) is None], "fetch the collection")
    for name in version.files:
        with open(folder / name, "rb") as file:
            os.fsync(file.fileno())


def in_parallel(act: Callable[[Piece], None], pieces: Iterable[Piece], label: str) -> None:
    """Raises the first error, after which nothing more is begun."""
    todo = list(pieces)
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        done: Iterator[None] = pool.map(act, todo)
        for _ in track(done, len(todo), label, "pieces") if len(todo) > FEW else done:
            pass
    finally:
        pool.shutdown(cancel_futures=True)
