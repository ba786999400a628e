"""The files that can be indexed: pictures, archives and videos in folders."""

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from crystal_eyes.collection.places import STORED, address, is_stored
from crystal_eyes.data.storage import Place, StoredFile
from crystal_eyes.errors import UserError, said
from crystal_eyes.images import SUFFIXES
from crystal_eyes.paths import METADATA, plain_path, walk

ARCHIVES = frozenset({".zip", ".cbz"})
VIDEOS = frozenset({".mp4", ".m4v", ".mkv", ".webm", ".mov", ".avi", ".mpg", ".mpeg", ".m2ts", ".wmv", ".flv", ".ogv"})
LINK = "link"
NOT_READ = frozenset({".rar", ".cbr", ".7z", ".cb7", ".tar", ".cbt", ".pdf"})  # may hold pictures


class SourceFile(NamedTuple):
    """A file that can be indexed, as it was when it was found."""

    path: Path
    size: int  # bytes
    mtime_ns: int

    @property
    def kind(self) -> str:
        """picture, archive or video."""
        suffix = self.path.suffix.lower()
        return "archive" if suffix in ARCHIVES else "video" if suffix in VIDEOS else "picture"


class Sources:
    """What was given to be indexed. Nothing of it is held in memory but one folder at a time."""

    def __init__(self, given: Sequence[str | Path]):
        """given: folders, files or patterns; s3://BUCKET/PREFIX. Raises UserError: a path can't exist, or S3 be used."""
        self.roots: list[Path] = []  # folders, absolute
        self.files: list[Path] = []  # that were given one by one, absolute
        self.missing: list[Path] = []  # absolute
        self.unreadable: list[OSError] = []  # folders
        self.skipped: Counter[str] = Counter()  # by suffix, or METADATA, STORED or LINK
        for text in given:
            if is_stored(path := Path(text)):
                if any(_level(path)):
                    self.roots.append(path)
                elif len(path.parts) > 2 and _level(path.parent, path.name)[0]:
                    self.files.append(path)
                else:
                    self.missing.append(path)
                continue
            path = plain_path(text)
            if path.is_dir():
                self.roots.append(_absolute(path))
            elif path.exists():
                self.files.append(_absolute(path))
            elif matches := sorted(one for one in glob.glob(str(path), recursive=True) if os.path.exists(one)):
                self.files += [_absolute(one) for one in matches if os.path.isfile(one)]
                self.roots += [_absolute(one) for one in matches if os.path.isdir(one)]
            else:
                self.missing.append(_absolute(path))

    def require(self) -> None:
        """Raises UserError: something that was given does not exist."""
        if self.missing:
            raise missing_error(self.missing[0])

    def folders(self) -> Iterator[tuple[Path, list[SourceFile]]]:
        """Folder by folder, the files that can be indexed, by name; each folder once. Counts anew what it skips."""
        self.unreadable.clear()
        self.skipped.clear()
        seen: set[Path] = set()
        for root in self.roots:
            found = _walk_stored(root) if is_stored(root) else walk(root, lambda name: False, self.unreadable.append)
            for folder, names in found:
                if folder not in seen:
                    seen.add(folder)
                    yield folder, self._usable(folder, names)
        by_folder: dict[Path, list[str]] = {}
        for file in dict.fromkeys(self.files):
            if file.parent not in seen:
                by_folder.setdefault(file.parent, []).append(file.name)
        for folder, names in by_folder.items():
            those = [one for name in sorted(names) for one in _level(folder, name)[0]] if is_stored(folder) else sorted(names)
            yield folder, self._usable(folder, those, given=True)

    def _usable(self, folder: Path, files: Sequence[str] | Sequence[StoredFile], given: bool = False) -> list[SourceFile]:
        """files: names, or what S3 says of the files. given: the user named them, so that a picture needs no suffix."""
        found = []
        for file in files:
            name = file if isinstance(file, str) else file.name
            path = folder / name
            suffix = path.suffix.lower()
            if suffix in NOT_READ:
                self.skipped[suffix] += 1
            elif suffix in SUFFIXES | ARCHIVES | VIDEOS or given:
                if name.startswith(METADATA):
                    self.skipped[METADATA] += 1
                    continue
                if not isinstance(file, str):
                    if suffix in ARCHIVES | VIDEOS:
                        self.skipped[STORED] += 1
                    else:
                        found.append(SourceFile(path, file.bytes, int(file.changed)))
                    continue
                try:
                    status = path.stat()
                except OSError:
                    if path.is_symlink():  # otherwise it was just removed
                        self.skipped[LINK] += 1
                    continue
                if path.is_file():
                    found.append(SourceFile(path, status.st_size, status.st_mtime_ns))
        return found

    def remarks(self) -> list[str]:
        """What was not looked at, a line each."""
        lines = [f"{one.filename} could not be read ({said(one)}): what the collection has of it is kept"
                 for one in self.unreadable]  # fmt: skip
        for suffix, count in sorted(self.skipped.items()):
            if suffix == STORED:
                those = "1 archive or video" if count == 1 else f"{count} archives and videos"
                lines.append(f"skipped {those} in S3: only pictures are read there")
                continue
            if suffix == LINK:
                lines.append(f"skipped {'1 link that leads' if count == 1 else f'{count} links that lead'} nowhere")
                continue
            files = f"1 {suffix} file" if count == 1 else f"{count} {suffix} files"
            why = "which macOS writes beside pictures" if suffix == METADATA else "only ZIP and CBZ archives are read"
            lines.append(f"skipped {files}: {why}")
        return lines


def absolute(given: str | Path) -> Path:
    """A path as a collection keeps it."""
    return Path(given) if is_stored(Path(given)) else _absolute(plain_path(given))


def missing_error(path: Path) -> UserError:
    return UserError(f"{address(path)} does not exist: give folders, pictures, archives or videos")


def _absolute(path: str | Path) -> Path:
    return Path(os.path.abspath(path))


def _level(folder: Path, name: str = "") -> tuple[list[StoredFile], list[str]]:
    """What is in a folder in S3: files, and names of folders. name: of the only one that is wanted."""
    try:
        files, below = Place(address(folder)).level()
    except ImportError:
        raise UserError(f"{address(folder)} needs pyarrow, which is not installed: pip install 'crystal-eyes[s3]'") from None
    return [one for one in files if name in ("", one.name)], below


def _walk_stored(root: Path) -> Iterator[tuple[Path, list[StoredFile]]]:
    """As walk, in S3."""
    pending = [root]
    while pending:
        folder = pending.pop()
        files, below = _level(folder)
        yield folder, files
        pending += [folder / name for name in reversed(below)]
