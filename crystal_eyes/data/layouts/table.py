"""A table (CSV, TSV or parquet), or a folder that contains one, with one row per head.

    file, character                 needed; the file is named relative to the table
    series, set, artwork            texts; heads of one artwork come from one drawing
    original_name                   the character's name in its own script
    monochrome                      1, true or yes for line art and grayscale; empty: decided by the pixels
    split                           train, validation (val, valid) or test
    left, top, right, bottom        where in the file the head is; empty: the file is a picture of the head
    box_unit                        the unit of these four: pixels (default) or fraction of the picture's width and height
    box_kind                        what they enclose: head (default) or face, from which the head is estimated

All but the first two may be missing; the case and the spaces of a column's name don't matter.
In a table with a column `illustration`, as `crop` writes it, the files are cut already
and left, top, right, bottom are places in the illustration: they are not applied.
"""

import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pyarrow.parquet as pq

from crystal_eyes.data.cropping import KINDS, UNITS, LabeledBox
from crystal_eyes.data.layouts.base import LabeledPicture, Resolver
from crystal_eyes.data.layouts.splits import SPLITS
from crystal_eyes.data.layouts.text_table import SUFFIXES, column_name, read_start, read_text_table
from crystal_eyes.data.left_out import LeftOut
from crystal_eyes.data.names import Cell, find_listed, label, normalize
from crystal_eyes.errors import UserError
from crystal_eyes.images import SUFFIXES as PICTURES

NAME = "a table"
NEEDED = ("file", "character")
SIDES = ("left", "top", "right", "bottom")
LABELS = ("character", "series", "set", "original_name")
YES = ("1", "true", "1.0", "yes")

KNOWN = (
    *NEEDED, "series", "set", "original_name", "artwork", "monochrome", "split", *SIDES, "box_unit", "box_kind", "illustration"
)  # fmt: skip
SPREADSHEETS = (".xlsx", ".xls", ".ods", ".numbers")
MAX_SEARCHED = 4 * 2**20  # bytes of a part of a spreadsheet
SPACED = re.compile(rf"\S+({'|'.join(map(re.escape, sorted(PICTURES)))})\s+\S+", re.IGNORECASE)  # a picture and a label
START = 20  # rows that show whether a table names pictures

Read = TypeVar("Read")
Record = dict[str, Cell]  # a row by column


@dataclass(frozen=True)
class Rows:
    """A table's rows that hold anything, and where each of them is."""

    columns: list[str]  # see column_name
    records: list[Record]
    places: list[str]  # of each record: "line 3" of a text, else "row 2"
    empty: list[str]  # places without any text
    note: str  # how the file was read


def detect(path: Path) -> bool:
    return path.is_file() or _table_in(path) is not None


def read(path: Path, notes: list[str] | None = None) -> tuple[list[LabeledPicture], LeftOut]:
    path = _table_of(path)
    table = _read(path)
    missing = [name for name in NEEDED if name not in table.columns]
    if missing:
        raise UserError(
            f"table {path} has no column {' and '.join(sorted(missing))}: the columns file and character are required"
        )
    boxed = _has_boxes(path, table.columns)
    pictures, resolve, folder = [], Resolver(), str(path.parent)
    left_out: LeftOut = [(f"{path.name} {place}", "empty line of the table") for place in table.empty]
    for number, (place, record) in enumerate(zip(table.places, table.records), 1):
        file, picture = find_listed(folder, _file(record["file"]))
        split = normalize(record.get("split", "")).casefold()
        try:
            character, series, set_, original = (label(_text(record.get(column))) for column in LABELS)
        except UserError as error:
            left_out.append((file, str(error)))
            continue
        if not character:
            left_out.append((file, "no character in the table"))
        elif split and split not in SPLITS:
            raise UserError(f"table {path} {place}: split {split!r} of {file} is unknown: use train, validation or test")
        elif picture is None:
            left_out.append((file, "listed in the table but missing on disk"))
        else:
            monochrome = normalize(record.get("monochrome", "")).lower()
            pictures.append(
                LabeledPicture(
                    resolve(picture),
                    file,
                    character,
                    series=series,
                    set=set_,
                    original_name=original,
                    artwork=normalize(record.get("artwork", "")),
                    monochrome=monochrome in YES if monochrome else None,
                    split=SPLITS.get(split, ""),
                    box=_box(record, f"table {path} {place}: row {number} ({file})") if boxed else None,
                )
            )
    if notes is not None:
        notes.append(f"{table.note}: {len(pictures)} name a picture and its character, {len(left_out)} left out")
    return pictures, left_out


def files(path: Path) -> list[Path]:
    path = _table_of(path)
    table = _read(path)
    if not set(NEEDED) <= set(table.columns):
        return [path]
    resolve, folder = Resolver(), str(path.parent)
    named = {_file(record["file"]) for record in table.records if _text(record["character"]).strip()}
    found = {resolve(picture) for file in named if (picture := find_listed(folder, file)[1])}
    # sorted as texts: comparing 70,000 Path objects takes seconds
    return [path, *map(Path, sorted(found))]


def _table_of(path: Path) -> Path:
    found = path if path.is_file() else _table_in(path)
    assert found is not None  # detect found it
    return found


def _table_in(folder: Path) -> Path | None:
    """The one table in a folder that has the columns file and character.

    Raises UserError where there are several, and for a table of pictures that can't be used: its labels are not ignored.
    """
    candidates = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".") and path.is_file()]
    found = [path for path in candidates if path.suffix.lower() in (*SUFFIXES, ".parquet") and _is_dataset(path)]
    if len(found) > 1:
        raise UserError(f"{folder} contains several tables ({', '.join(path.name for path in found)}): give one of them")
    if not found and (sheets := [path for path in candidates if path.suffix.lower() in SPREADSHEETS and _names_pictures(path)]):
        raise UserError(
            f"{sheets[0]} is a spreadsheet, which can't be read: save it as CSV (UTF-8) with the columns file and character, "
            f"or move it out of {folder} if it holds no labels"
        )
    return found[0] if found else None


def _is_dataset(path: Path) -> bool:
    """Whether a table in a dataset's folder is the dataset. Raises UserError if it holds labels but can't be used."""
    if path.suffix.lower() == ".parquet":
        return set(NEEDED) <= {column_name(name) for name in _readable(path, lambda: pq.read_schema(path).names)}
    try:
        header, *rows = read_start(path, KNOWN, START) or [[]]
    except UserError:
        if path.suffix.lower() != ".txt" or has_labels(path):  # other texts are no tables
            raise
        return False
    columns = {column_name(cell) for cell in header}
    if set(NEEDED) <= columns:
        return True
    pictures = sum(any(Path(cell.strip()).suffix.lower() in PICTURES for cell in cells) for cells in (header, *rows))
    spaced = sum(len(cells) == 1 and SPACED.fullmatch(cells[0].strip()) is not None for cells in (header, *rows))
    if 2 * (pictures if len(header) > 1 else spaced) > len(rows):
        raise UserError(
            f"{path} names pictures, but has no column {' and '.join(sorted(set(NEEDED) - columns))}: name its columns file "
            "and character in the first line, separated by commas or tabs, or move it out of the folder if the folders are "
            "the labels"
        )
    return False


def has_labels(path: Path) -> bool:
    """Whether the first line of a text names the columns file and character."""
    try:
        return any(set(NEEDED) <= {column_name(cell) for cell in cells} for cells in read_start(path, KNOWN, 1))
    except UserError:
        return False


def _names_pictures(path: Path) -> bool:
    """Whether a spreadsheet of any format mentions image files; True if that can't be told."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                texts = [archive.open(name).read(MAX_SEARCHED) for name in archive.namelist() if name.endswith(".xml")]
        else:
            with open(path, "rb") as file:
                texts = [file.read(MAX_SEARCHED).replace(b"\0", b"")]  # old formats write UTF-16
    except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError):
        return True
    return any(suffix.encode() in text.lower() for text in texts for suffix in PICTURES)


def _read(path: Path) -> Rows:
    if path.suffix.lower() == ".parquet":
        frame = _readable(path, lambda: pd.read_parquet(path))
        frame.columns = [column_name(str(name)) for name in frame.columns]
        places = [f"row {number}" for number in range(1, len(frame) + 1)]
        records = [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
        return Rows(list(frame.columns), records, places, [], f"table {path.name}, {len(frame)} rows")
    if path.suffix.lower() in SPREADSHEETS:
        raise UserError(f"{path} can't be read as a table (it is a spreadsheet): save it as CSV (UTF-8)")
    table = read_text_table(path, KNOWN)
    written = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}.get(table.delimiter, repr(table.delimiter))
    return Rows(
        table.columns,
        [dict(zip(table.columns, cells)) for _, cells in table.rows],
        [f"line {line}" for line, _ in table.rows],
        [f"line {line}" for line in table.empty],
        f"table {path.name} ({table.encoding}, {written}), {table.lines} lines, {len(table.rows)} rows below the header",
    )


def _readable(path: Path, work: Callable[[], Read]) -> Read:
    try:
        return work()
    except Exception as error:  # pyarrow raises a dozen kinds
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} can't be read as a table ({reason}): give CSV (UTF-8) or parquet") from None


def _text(value: Cell) -> str:
    return "" if pd.isna(value) else str(value)


def _file(value: Cell) -> str:
    return _text(value).strip()


def _has_boxes(path: Path, columns: list[str]) -> bool:
    given = [name for name in SIDES if name in columns]
    if not given or "illustration" in columns:
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
