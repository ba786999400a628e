"""Reads a dataset into the catalogue, with splits."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from crystal_eyes.data import cast
from crystal_eyes.data.catalogue import write
from crystal_eyes.data.cropping import head_bytes
from crystal_eyes.data.layouts import load_dataset
from crystal_eyes.data.left_out import LeftOut
from crystal_eyes.data.options import CastOptions, SelectionOptions, SplitOptions
from crystal_eyes.data.selection import Inspection, inspect_here, select
from crystal_eyes.data.splits import assign_splits
from crystal_eyes.errors import UserError
from crystal_eyes.progress import track


@dataclass(frozen=True)
class Selected:
    """The heads of a dataset that are used."""

    table: pd.DataFrame  # layouts.COLUMNS, width, height; one row per head
    found: int  # heads that the dataset names
    left_out: LeftOut
    notes: list[str]  # how the dataset was understood


def draw_cast(folder: Path, options: CastOptions, seed: int) -> Path:
    """The built-in cast, drawn into a folder (see cast.draw): here, so that the cache key of prepare covers the drawing."""
    return cast.draw(folder, options, seed)


def select_heads(
    dataset: Path,
    confidence: float,
    options: SelectionOptions,
    seed: int,
    inspect: Callable[[pd.DataFrame], Iterable[Inspection]] = inspect_here,
) -> Selected:
    """Read a dataset and select heads. confidence: lowest one of a box that is used, where the dataset states it."""
    read = load_dataset(dataset, confidence)
    used, unused = select(read.table, options, seed, inspect)
    return Selected(used, len(read.table), read.left_out + unused, read.notes)


def split(selected: Selected, options: SplitOptions, seed: int) -> pd.DataFrame:
    """The selected heads with their splits. Raises UserError where they are too few."""
    if selected.table.empty:
        raise UserError("no character has enough usable pictures: lower min_pictures")
    return assign_splits(selected.table, options, seed)


def write_catalogue(folder: Path, table: pd.DataFrame) -> None:
    """Write heads with splits as a catalogue."""
    heads = (head_bytes(path, box) for path, box in zip(table["path"], table["box"]))
    write(folder, table, track(heads, len(table), "write catalogue", "pictures"))
