"""What every dataset layout implements and returns."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn, Protocol

from crystal_eyes import paths
from crystal_eyes.data.cropping import LabeledBox
from crystal_eyes.data.left_out import LeftOut


class LabeledPicture(NamedTuple):
    """One head and its labels, as a dataset names them. Texts are "" where unknown."""

    path: str  # absolute, symbolic links resolved
    file: str  # as the dataset names it
    character: str
    series: str = ""
    set: str = ""
    artwork: str = ""  # heads that share it come from one drawing
    monochrome: bool | None = None  # None: unknown
    split: str = ""  # train | validation | test, where the dataset has splits
    box: LabeledBox | None = None  # where the head is a part of the picture
    confidence: float = 1.0  # that the box holds a head
    original_name: str = ""  # the character's name in its own script


class Layout(Protocol):
    """One way to organize a dataset. A module with these functions is a layout; layouts.LAYOUTS lists them."""

    NAME: str  # as a user calls it

    def detect(self, path: Path) -> bool:
        """Whether an existing path is a dataset of this layout. Layouts before it in LAYOUTS did not recognize the path."""

    def read(self, path: Path, notes: list[str] | None = None) -> tuple[list[LabeledPicture], LeftOut]:
        """The labeled pictures, in any order, and what had to be left out. Raises UserError for a malformed dataset.

        notes: where given, gets lines that say how the dataset was understood.
        """

    def files(self, path: Path) -> list[Path]:
        """All existing files that the result of read depends on, the pictures too; found without opening pictures."""


def walk(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """(folder, sorted names of its files), of the folder and all below it, also linked ones.

    Hidden files and folders are left out, but for macOS's `._` files, which are counted. Raises OSError for a folder that can't
    be read: its pictures would be missing without a word.
    """
    yield from paths.walk(folder, lambda name: name.startswith(".") and not is_metadata(name), _refuse)


def is_metadata(name: str) -> bool:
    return name.startswith(paths.METADATA)


def _refuse(error: OSError) -> NoReturn:
    raise error


def walked_files(folder: Path) -> list[Path]:
    """All files in a folder and below it that are not hidden."""
    return [base / name for base, names in walk(folder) for name in names if not is_metadata(name)]


class Resolver:
    """Resolves symbolic links of many files in few folders, each folder only once."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def __call__(self, path: str | Path) -> str:
        if os.path.islink(path):
            return os.path.realpath(path)
        folder, name = os.path.split(path)
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        return os.path.join(self._folders[folder], name)
