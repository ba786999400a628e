"""Pictures in ZIP and CBZ archives, read in memory: nothing is ever extracted, so that names are just names."""

import lzma
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from crystal_eyes.collection.sources import ARCHIVES, NOT_READ
from crystal_eyes.errors import UserError
from crystal_eyes.images import SUFFIXES, PictureError
from crystal_eyes.paths import METADATA
from crystal_eyes.recognizer.pictures import MAX_BYTES

MAX_ENTRIES = 100_000
MAX_RATIO = 200  # by which a member may be compressed: pictures are compressed already
SMALL = 1_000_000  # bytes: smaller members may be compressed by any ratio
ENCRYPTED = 1  # flag of a member


class PictureArchive:
    """An open archive. Raises UserError: it can't be read."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self._file = zipfile.ZipFile(path)
            infos = self._file.infolist()
        except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, ValueError, OverflowError) as error:
            raise UserError(f"{path} is not a ZIP archive that can be read: {error}") from None
        if len(infos) > MAX_ENTRIES:
            self.close()
            raise UserError(f"{path} has {len(infos):,} entries: at most {MAX_ENTRIES:,} are read; split it")
        if sum(info.compress_size for info in infos) > path.stat().st_size:
            self.close()
            raise UserError(f"{path} is not read: its entries overlap, as in an archive bomb")
        self.skipped: Counter[str] = Counter()
        self._members: dict[str, zipfile.ZipInfo] = {}  # the last of several with one name counts, as elsewhere
        for info in infos:
            name = PurePosixPath(info.filename)
            suffix = name.suffix.lower()
            if info.is_dir() or name.name.startswith(METADATA) or "__MACOSX" in name.parts:
                continue
            if suffix in ARCHIVES | NOT_READ:
                self.skipped["nested"] += 1
            elif suffix in SUFFIXES and info.flag_bits & ENCRYPTED:
                self.skipped["encrypted"] += 1
            elif suffix in SUFFIXES:
                self._members[info.filename] = info

    @property
    def names(self) -> list[str]:
        """Of the pictures, sorted."""
        return sorted(self._members)

    def remarks(self) -> list[str]:
        """What was not read, a line each."""
        lines = []
        for reason, what, why in (("encrypted", "picture", "encrypted"), ("nested", "archive", "inside another one")):
            if count := self.skipped[reason]:
                those = (
                    f"1 {what} was not read, because it is"
                    if count == 1
                    else f"{count} {what}s were not read, because they are"
                )
                lines.append(f"{self.path}: {those} {why}: unpack the archive")
        return lines

    def read(self, name: str) -> bytes:
        """A picture's encoded bytes. Raises PictureError: damaged, or too large."""
        info = self._members[name]
        size, packed = info.file_size, info.compress_size
        if size > MAX_BYTES:
            raise PictureError(f"too large: more than {MAX_BYTES // 1_000_000} MB")
        if size > SMALL and size > MAX_RATIO * packed:
            raise PictureError(f"compressed more than {MAX_RATIO} times, as no picture is")
        try:
            with self._file.open(info) as member:
                data = member.read(size + 1)  # zipfile stops at the size that is declared
        except (
            zipfile.BadZipFile,
            zlib.error,
            lzma.LZMAError,
            EOFError,
            NotImplementedError,
            RuntimeError,
            ValueError,
        ) as error:
            raise PictureError(f"damaged in the archive: {error}") from None
        except OSError as error:
            if error.errno is not None:
                raise
            raise PictureError(f"damaged in the archive: {error}") from None  # bz2
        return data

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def close(self) -> None:
        self._file.close()
