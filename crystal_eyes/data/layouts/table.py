"""A table (CSV or parquet), or a folder that contains one, with one row per head.

    file, character                 needed; the file is named relative to the table
    series, set, artwork            texts; heads of one artwork come from one drawing
    monochrome                      1, true or yes for line art and grayscale; empty: decided by the pixels
    split                           train, validation (val, valid) or test
    left, top, right, bottom        where in the file the head is; empty: the file is a picture of the head
    box_unit                        the unit of these four: pixels (default) or fraction of the picture's width and height
    box_kind                        what they enclose: head (default) or face, from which the head is estimated

All but the first two may be missing. In a table with a column `illustration`, as `crop` writes it, the files are cut already
and left, top, right, bottom are places in the illustration: they are not applied.
"""

from collections.abc import Callable, Hashable
from math import isfinite, nan
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pyarrow.parquet as pq

from crystal_eyes.data.cropping import KINDS, UNITS, LabeledBox
from crystal_eyes.data.layouts.base import LabeledPicture, Resolver
from crystal_eyes.data.left_out import LeftOut
from crystal_eyes.data.names import Cell, find_file, normalize
from crystal_eyes.errors import UserError

NEEDED = ("file", "character")
SIDES = ("left", "top", "right", "bottom")
SPLITS = {"train": "train", "test": "test", "val": "validation", "valid": "validation", "validation": "validation"}
YES = ("1", "true", "1.0", "yes")

Read = TypeVar("Read")
Record = dict[Hashable, Any]  # a row by column; a value is a string, a number, a bool, or missing


def detect(path: Path) -> bool:
    return path.is_file() or _table_in(path) is not None


def read(path: Path) -> tuple[list[LabeledPicture], LeftOut]:
    path = _table_of(path)
    table = _read(path)
    missing = [name for name in NEEDED if name not in table.columns]
    if missing:
        raise UserError(
            f"table {path} has no column {' and '.join(sorted(missing))}: the columns file and character are required"
        )
    boxed = _has_boxes(path, table)
    pictures, left_out, resolve, folder = [], LeftOut(), Resolver(), str(path.parent)
    for number, record in enumerate(table.to_dict("records"), 1):
        file, character = _file(record["file"]), normalize(record["character"])
        split = normalize(record.get("split", "")).lower()
        if not character:
            left_out.append((file, "no character in the table"))
        elif split and split not in SPLITS:
            raise UserError(f"table {path}: split {split!r} of {file} is unknown: use train, validation or test")
        elif (picture := find_file(folder, file)) is None:
            left_out.append((file, "listed in the table but missing on disk"))
        else:
            monochrome = normalize(record.get("monochrome", "")).lower()
            pictures.append(
                LabeledPicture(
                    resolve(picture),
                    file,
                    character,
                    series=normalize(record.get("series", "")),
                    set=normalize(record.get("set", "")),
                    artwork=normalize(record.get("artwork", "")),
                    monochrome=monochrome in YES if monochrome else None,
                    split=SPLITS.get(split, ""),
                    box=_box(record, f"table {path}: row {number} ({file})") if boxed else None,
                )
            )
    return pictures, left_out


def files(path: Path) -> list[Path]:
    path = _table_of(path)
    columns = _columns(path)
    if not set(NEEDED) <= set(columns):
        return [path]
    table = _read(path, columns=list(NEEDED))
    resolve, folder = Resolver(), str(path.parent)
    named = {_file(file) for file, character in zip(table["file"], table["character"]) if normalize(character)}
    # sorted as texts: comparing 70,000 Path objects takes seconds
    return [path, *map(Path, sorted({resolve(picture) for file in named if (picture := find_file(folder, file))}))]


def _table_of(path: Path) -> Path:
    found = path if path.is_file() else _table_in(path)
    assert found is not None  # detect found it
    return found


def _table_in(folder: Path) -> Path | None:
    """The one table in a folder that has the columns file and character."""
    found = [path for path in sorted([*folder.glob("*.csv"), *folder.glob("*.parquet")]) if _is_dataset(path)]
    if len(found) > 1:
        raise UserError(f"{folder} contains several tables ({', '.join(path.name for path in found)}): give one of them")
    return found[0] if found else None


def _is_dataset(path: Path) -> bool:
    try:
        return set(NEEDED) <= set(_columns(path))
    except UserError:
        return False


def _columns(path: Path) -> list[str]:
    if path.suffix == ".parquet":
        return _readable(path, lambda: pq.read_schema(path).names)
    return list(_read(path, rows=1).columns)


def _read(path: Path, rows: int | None = None, columns: list[str] | None = None) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return _readable(path, lambda: pd.read_parquet(path, columns=columns))
    return _readable(
        path,
        lambda: pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", nrows=rows, usecols=columns),
    )


def _readable(path: Path, work: Callable[[], Read]) -> Read:
    try:
        return work()
    except Exception as error:  # pandas and pyarrow raise a dozen kinds
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} can't be read as a table ({reason}): give CSV (UTF-8) or parquet") from None


def _file(value: Cell) -> str:
    return "" if pd.isna(value) else str(value).strip()


def _has_boxes(path: Path, table: pd.DataFrame) -> bool:
    given = [name for name in SIDES if name in table.columns]
    if not given or "illustration" in table.columns:
        return False
    if len(given) < len(SIDES):
        raise UserError(f"table {path} has {', '.join(given)} but not all of {', '.join(SIDES)}: add the missing columns")
    return True


def _box(record: Record, row: str) -> LabeledBox | None:
    """The box of a row, or None where it has none. row: what an error calls it."""
    texts = [normalize(record[side]) for side in SIDES]
    if not any(texts):
        return None
    try:
        left, top, right, bottom = (float(text) for text in texts)
    except ValueError:
        left = top = right = bottom = nan
    if not all(isfinite(side) for side in (left, top, right, bottom)):
        raise UserError(f"{row}: {','.join(texts)} is not left,top,right,bottom as numbers")
    unit, kind = (normalize(record.get(column, "")).lower() for column in ("box_unit", "box_kind"))
    for column, word, known in (("box_unit", unit, UNITS), ("box_kind", kind, KINDS)):
        if word and word not in known:
            raise UserError(f"{row}: {column} {word!r} is unknown: use {' or '.join(known)}")
    if not unit and max(left, top, right, bottom) <= 1:
        raise UserError(f"{row}: box {','.join(texts)} seems to be in fractions of the picture: set box_unit to fraction")
    return LabeledBox(left, top, right, bottom, unit=unit or "pixels", kind=kind or "head")
