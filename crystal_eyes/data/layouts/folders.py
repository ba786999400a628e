"""One folder per character, optionally inside folders of sets: `SET/CHARACTER/picture.png`.

Folders named like splits (`train/CHARACTER`, `CHARACTER/test`) are splits, and folders below a character
(`CHARACTER/fanart`) are that character's: see structure.py.
"""

from pathlib import Path

from crystal_eyes.data.layouts.base import LabeledPicture, Resolver, is_metadata, walk, walked_files
from crystal_eyes.data.layouts.structure import understand
from crystal_eyes.data.layouts.table import has_labels
from crystal_eyes.data.left_out import WRITTEN_BY_MACOS, LeftOut
from crystal_eyes.data.names import label
from crystal_eyes.errors import UserError
from crystal_eyes.images import SUFFIXES

TABLES = (".csv", ".tsv")
NAME = "folders, one per character"


def detect(path: Path) -> bool:
    return path.is_dir()


def read(path: Path, notes: list[str] | None = None) -> tuple[list[LabeledPicture], LeftOut]:
    found: list[tuple[Path, tuple[str, ...], str]] = []  # path, folders, name of the file below the dataset
    left_out = LeftOut()
    for folder, names in walk(path):
        folders = folder.relative_to(path).parts
        for name in names:
            file = "/".join((*folders, name))
            suffix = Path(name).suffix.lower()
            if is_metadata(name):
                left_out.append((file, WRITTEN_BY_MACOS))
            elif suffix in TABLES and has_labels(folder / name):
                raise UserError(
                    f"{folder / name} is a table of labels, but lies below {path}: give the table as the dataset, "
                    "or move it out of the folder if the folders are the labels"
                )
            elif suffix not in SUFFIXES:
                left_out.append((file, "not an image file"))
            elif not folders:
                left_out.append((file, "not in a character's folder"))
            else:
                found.append((folder / name, folders, file))
    counts: dict[tuple[str, ...], int] = {}
    for _, folders, _ in found:
        counts[folders] = counts.get(folders, 0) + 1
    structure = understand(counts)
    if notes is not None:
        notes += structure.notes
    pictures, resolve = [], Resolver()
    for picture, folders, file in found:
        home = structure.homes[folders]
        if not home.folders:
            left_out.append((file, "not in a character's folder"))
            continue
        try:
            character, sets = label(home.folders[-1]), [label(name) for name in home.sets]
        except UserError as error:
            left_out.append((file, str(error)))
            continue
        if character:
            pictures.append(LabeledPicture(resolve(picture), file, character, set="/".join(sets), split=home.split))
        else:
            left_out.append((file, "the name of its folder contains no visible character"))
    return pictures, left_out


def files(path: Path) -> list[Path]:
    return sorted(walked_files(path))
