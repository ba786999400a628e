"""Reads datasets in several layouts into one plain table of heads. One file per layout; LAYOUTS lists them.

A new layout is a module with the three functions of base.Layout and one entry in LAYOUTS.
"""

from pathlib import Path

import pandas as pd

from crystal_eyes.data.layouts import danbooru, folders, table
from crystal_eyes.data.layouts.base import LabeledPicture, Layout
from crystal_eyes.data.left_out import LeftOut, as_text
from crystal_eyes.data.names import disambiguate
from crystal_eyes.errors import UserError

LAYOUTS: tuple[Layout, ...] = (danbooru, table, folders)  # the first that recognizes a dataset reads it
COLUMNS = [name for name in LabeledPicture._fields if name != "confidence"]


def read_dataset(path: str | Path, confidence: float) -> tuple[pd.DataFrame, LeftOut]:
    """The dataset as a table with COLUMNS (see LabeledPicture), one row per head, sorted; and what was left out.

    confidence: lowest confidence of a box that is used. Text columns hold "" where unknown, `monochrome` and `box` None.
    Raises UserError if the dataset is missing, empty or malformed.
    """
    path, layout = _layout(path)
    found, left_out = layout.read(path)
    found, left_out = _with_valid_names(found, left_out)
    rows = [row for row in found if row.confidence >= confidence]
    left_out += [(row.file, f"confidence below {confidence}") for row in found if row.confidence < confidence]
    if not rows:
        raise UserError(f"dataset {path} contains no labeled picture: give a folder with one folder per character, or a table")
    table = pd.DataFrame(rows, columns=LabeledPicture._fields).drop(columns="confidence")
    table["character"] = disambiguate(table["character"], table["series"], table["set"])
    table = table.drop_duplicates(["path", "character", "box"])
    return table.sort_values(["character", "file"], kind="stable").reset_index(drop=True), left_out


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
        raise UserError(f"dataset {path} does not exist: give a folder of pictures or a table")
    return path, next(layout for layout in LAYOUTS if layout.detect(path))
