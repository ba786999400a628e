"""The pictures that paths, folders and patterns name."""

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from crystal_eyes.errors import UserError, said
from crystal_eyes.images import SUFFIXES
from crystal_eyes.paths import METADATA, plain_path, walk


@dataclass
class PictureFiles:
    """What was found where pictures were looked for."""

    paths: list[Path] = field(default_factory=list)  # each once
    metadata: int = 0  # files of macOS, see paths.METADATA
    unreadable: list[OSError] = field(default_factory=list)  # folders

    def remarks(self) -> list[str]:
        lines = [f"{error.filename} could not be read ({said(error)}): its pictures are missing" for error in self.unreadable]
        if self.metadata:
            files = "1 ._ file" if self.metadata == 1 else f"{self.metadata} ._ files"
            lines.append(f"skipped {files}, which macOS writes beside pictures")
        return lines


def find_pictures(given: Sequence[str]) -> PictureFiles:
    """The files that paths, folders (with their subfolders) and patterns name. Raises UserError: there are none."""
    found = PictureFiles()
    paths: dict[Path, None] = {}
    for text in given:
        path, unreadable = plain_path(text), len(found.unreadable)
        if path.is_dir():
            inside = pictures_in(path, found)
        elif path.exists() or path.is_symlink():
            inside = [path]
        else:
            inside = [Path(one) for one in sorted(glob.glob(str(path), recursive=True)) if os.path.isfile(one)]
        if not inside and unreadable == len(found.unreadable):
            if path.is_dir():
                what = f"contains no pictures ({', '.join(sorted(SUFFIXES))})"
            else:
                what = "matches no file" if glob.has_magic(text) else "does not exist"
            raise UserError(f"{text} {what}: give pictures, folders or patterns")
        paths |= dict.fromkeys(inside)
    found.paths = list(paths)
    return found


def pictures_in(folder: Path, found: PictureFiles | None = None) -> list[Path]:
    """The pictures in a folder and below it, sorted, without `._` files. found: gets what was skipped.

    Raises OSError for a folder that can't be read, unless there is a found to hold it.
    """
    skipped = found or PictureFiles()
    inside = []
    for base, names in walk(folder, lambda name: False, skipped.unreadable.append):
        for name in names:
            path = base / name
            if path.suffix.lower() in SUFFIXES and (path.is_file() or path.is_symlink()):
                if name.startswith(METADATA):
                    skipped.metadata += 1
                else:
                    inside.append(path)
    if found is None and skipped.unreadable:
        raise skipped.unreadable[0]
    return sorted(inside)
