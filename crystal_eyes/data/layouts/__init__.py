"""Reads datasets in several layouts into one plain table of heads. One file per layout; LAYOUTS lists them.

A new layout is a module with the three functions of base.Layout and one entry in LAYOUTS.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from crystal_eyes.data.layouts import danbooru, folders, shards, table
from crystal_eyes.data.layouts.base import LabeledPicture, Layout
from crystal_eyes.data.layouts.splits import use_given_splits
from crystal_eyes.data.left_out import LeftOut, as_text
from crystal_eyes.data.listing import located
from crystal_eyes.data.names import disambiguate
from crystal_eyes.errors import UserError
from crystal_eyes.images import SUFFIXES

LAYOUTS: tuple[Layout, ...] = (shards, danbooru, table, folders)  # the first that recognizes a dataset reads it
REMEDY = "give a folder with one folder per character, or a table with the columns file and character"
COLUMNS = [name for name in LabeledPicture._fields if name != "confidence"]


@dataclass(frozen=True)
class Dataset:
    """A dataset as it was read."""

    table: pd.DataFrame  # COLUMNS (see LabeledPicture), one row per head, sorted; texts "" and others None where unknown
    left_out: LeftOut
    notes: list[str]  # how it was understood, a line each; doubts begin with "warning: "


def load_dataset(path: str | Path, confidence: float) -> Dataset:
    """Read a dataset. confidence: lowest confidence of a box that is used.

    Raises UserError if the dataset is missing, empty or malformed.
    """
    path, layout = _layout(path)
    notes: list[str] = []
    found, left_out = layout.read(path, notes)
    found, left_out = _with_valid_names(found, left_out)
    rows = [row for row in found if row.confidence >= confidence]
    left_out += [(row.file, f"confidence below {confidence}") for row in found if row.confidence < confidence]
    if not rows:
        why = f" ({len(left_out)} left out, such as {left_out[0][0]}: {left_out[0][1]})" if left_out else ""
        raise UserError(f"dataset {path} contains no labeled picture{why}: {REMEDY}")
    table = pd.DataFrame(rows, columns=LabeledPicture._fields).drop(columns="confidence")
    table["character"] = disambiguate(table["character"], table["series"], table["set"])
    table["path"] = located(path, table["path"])
    twice = table.duplicated(["path", "character", "box"])
    left_out += [(file, "given twice for one character") for file in table["file"][twice]]
    table = table[~twice].sort_values(["character", "file"], kind="stable").reset_index(drop=True)
    table = use_given_splits(table, notes)
    return Dataset(table, left_out, [understood(table, layout), *notes])


def read_dataset(path: str | Path, confidence: float) -> tuple[pd.DataFrame, LeftOut]:
    """The table of load_dataset, and what was left out."""
    dataset = load_dataset(path, confidence)
    return dataset.table, dataset.left_out


def understood(table: pd.DataFrame, layout: Layout) -> str:
    """One line that says as what a dataset was read."""
    counts = [f"{len(table)} pictures", f"{table['character'].nunique()} characters"]
    for column, word in (("series", "series"), ("set", "sets")):
        if number := table.loc[table[column] != "", column].nunique():
            counts.append(f"{number} {word}")
    given = table["split"].value_counts()
    splits = ", ".join(f"{split} {given[split]}" for split in ("train", "validation", "test") if split in given)
    return f"read as {layout.NAME}: {', '.join(counts)}; splits: {splits or 'drawn at random'}"


def _with_valid_names(found: list[LabeledPicture], left_out: LeftOut) -> tuple[list[LabeledPicture], LeftOut]:
    """Without pictures whose path no table can hold: it has bytes that are no UTF-8."""
    invalid = [row for row in found if as_text(row.path) != row.path]
    left_out = [*left_out, *((row.file, "its path is not UTF-8, rename it") for row in invalid)]
    return [row for row in found if as_text(row.path) == row.path], [(as_text(file), why) for file, why in left_out]


def dataset_files(path: str | Path) -> list[Path]:
    """The files that a dataset consists of, which a cache key has to cover. Raises UserError like read_dataset.

    Only lists them: it opens at most the dataset's table, and of that only the columns that name and label files.
    """
    path, layout = _layout(path)
    return layout.files(path.resolve())


def _layout(path: str | Path) -> tuple[Path, Layout]:
    path = Path(path).expanduser()
    if not path.exists():
        raise UserError(f"dataset {path} does not exist: {REMEDY}")
    if path.suffix.lower() in SUFFIXES and path.is_file():
        raise UserError(f"dataset {path} is one file with the name of a picture: {REMEDY}")
    if not path.is_file() and not path.is_dir():
        raise UserError(f"dataset {path} is neither a folder nor a file: {REMEDY}")
    return path, next(layout for layout in LAYOUTS if layout.detect(path))
