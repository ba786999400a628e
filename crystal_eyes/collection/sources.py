"""The files that can be indexed: pictures, archives and videos in folders."""

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from crystal_eyes.images import SUFFIXES
from crystal_eyes.paths import METADATA, plain_path, walk

ARCHIVES = frozenset({".zip", ".cbz"})
VIDEOS = frozenset({".mp4", ".m4v", ".mkv", ".webm", ".mov", ".avi", ".mpg", ".mpeg", ".m2ts", ".wmv", ".flv", ".ogv"})
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
        """given: folders, files or patterns. Raises UserError: a path that can't exist."""
        self.roots: list[Path] = []  # folders, absolute
        self.files: list[Path] = []  # that were given one by one, absolute
        self.missing: list[Path] = []  # absolute
        self.unreadable: list[OSError] = []  # folders
        self.skipped: Counter[str] = Counter()  # by suffix, or METADATA
        for text in given:
            path = plain_path(text)
            if path.is_dir():
                self.roots.append(_absolute(path))
            elif path.exists():
                self.files.append(_absolute(path))
            elif matches := sorted(glob.glob(str(path), recursive=True)):
                self.files += [_absolute(one) for one in matches if os.path.isfile(one)]
                self.roots += [_absolute(one) for one in matches if os.path.isdir(one)]
            else:
                self.missing.append(_absolute(path))

    def folders(self) -> Iterator[tuple[Path, list[SourceFile]]]:
        """Folder by folder, the files that can be indexed, by name; each folder once. Counts anew what it skips."""
        self.unreadable.clear()
        self.skipped.clear()
        seen: set[Path] = set()
        for root in self.roots:
            for folder, names in walk(root, lambda name: False, self.unreadable.append):
                if folder not in seen:
                    seen.add(folder)
                    yield folder, self._usable(folder, names)
        by_folder: dict[Path, list[str]] = {}
        for file in dict.fromkeys(self.files):
            if file.parent not in seen:
                by_folder.setdefault(file.parent, []).append(file.name)
        for folder, names in by_folder.items():
            yield folder, self._usable(folder, sorted(names), given=True)

    def _usable(self, folder: Path, names: list[str], given: bool = False) -> list[SourceFile]:
        """given: the user named these files, so that a picture needs no suffix."""
        found = []
        for name in names:
            path = folder / name
            suffix = path.suffix.lower()
            if suffix in NOT_READ:
                self.skipped[suffix] += 1
            elif suffix in SUFFIXES | ARCHIVES | VIDEOS or given:
                if name.startswith(METADATA):
                    self.skipped[METADATA] += 1
                    continue
                try:
                    status = path.stat()
                except OSError:  # a link that leads nowhere, or a file that was just removed
                    continue
                if path.is_file():
                    found.append(SourceFile(path, status.st_size, status.st_mtime_ns))
        return found

    def remarks(self) -> list[str]:
        """What was not looked at, a line each."""
        lines = [f"{one.filename} could not be read ({one.strerror}): what the collection has of it is kept"
                 for one in self.unreadable]  # fmt: skip
        for suffix, count in sorted(self.skipped.items()):
            files = f"1 {suffix} file" if count == 1 else f"{count} {suffix} files"
            why = "which macOS writes beside pictures" if suffix == METADATA else "only ZIP and CBZ archives are read"
            lines.append(f"skipped {files}: {why}")
        return lines


def _absolute(path: str | Path) -> Path:
    return Path(os.path.abspath(path))
