"""Reads tables in text files as spreadsheets save them: any delimiter and encoding, and every line accounted for."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from crystal_eyes.data.layouts.encodings import decode
from crystal_eyes.errors import UserError, said

DELIMITERS = ",;\t|"
SUFFIXES = (".csv", ".tsv", ".tab", ".txt")
SEPARATOR = re.compile(r'"?sep=(.)"?')  # a first line by which Excel names the delimiter
REMEDY = "give CSV (UTF-8) or parquet"


@dataclass(frozen=True)
class TextTable:
    """Cells as they are written. Rows hold as many cells as there are columns."""

    columns: list[str]  # see column_name
    rows: list[tuple[int, list[str]]]  # number of the row's first line, from 1; cells
    empty: list[int]  # lines without any text
    lines: int  # of the file
    encoding: str
    delimiter: str


def column_name(text: str) -> str:
    """The name of a column, whatever its case and spacing: "Box Unit " is box_unit."""
    return "_".join(text.replace("\ufeff", "").casefold().split())


def read_text_table(path: Path, known: tuple[str, ...]) -> TextTable:
    """Read a text file as a table. known: columns by which its delimiter is recognized.

    Raises UserError, with the number of the line, for a line that can't be read without guessing: an unclosed quotation
    mark, or more cells than columns.
    """
    text, encoding = _text(path)
    delimiter = _delimiter(text, known)
    rows: list[tuple[int, list[str]]] = []
    empty: list[int] = []
    columns: list[str] | None = None
    found = list(_rows(path, text, delimiter))
    for line, _, cells in found:
        if not any(cell.strip() for cell in cells):
            empty.append(line)
        elif columns is None:
            columns = _columns(path, line, cells, known)
        else:
            rows.append((line, _fitted(path, line, cells, len(columns))))
    if columns is None:
        raise UserError(f"{path} can't be read as a table (it is empty): {REMEDY}")
    return TextTable(columns, rows, empty, found[-1][1], encoding, delimiter)


def read_start(path: Path, known: tuple[str, ...], count: int) -> list[list[str]]:
    """The cells of the first rows of a table, its header first, as they are written. Raises UserError like read_text_table."""
    text, _ = _text(path)
    filled = (cells for *_, cells in _rows(path, text, _delimiter(text, known)) if any(cell.strip() for cell in cells))
    return list(islice(filled, count))


def _text(path: Path) -> tuple[str, str]:
    try:
        return decode(path.read_bytes())
    except UserError as error:
        raise UserError(f"{path} can't be read as a table ({error}): {REMEDY}") from None
    except OSError as error:
        raise UserError(f"{path} can't be read as a table ({said(error)}): {REMEDY}") from None


def _delimiter(text: str, known: tuple[str, ...]) -> str:
    """The one that finds most of the known columns, else most cells."""
    header = next((line for line in io.StringIO(text, newline="") if line.strip()), "").rstrip("\r\n")
    if said := SEPARATOR.fullmatch(header):
        return said[1]

    def finds(delimiter: str) -> tuple[int, int]:
        cells = next(csv.reader([header], delimiter=delimiter, skipinitialspace=True), [])
        return len({column_name(cell) for cell in cells} & set(known)), len(cells)

    return max(DELIMITERS, key=finds)


def _rows(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, int, list[str]]]:
    """(first line, last line, cells) of each row, also of empty ones."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise _unclosed(path, line) from None
        if reader.line_num > line and any(_holds_rows(cell, delimiter, cells) for cell in cells):
            raise _unclosed(path, line)
        said = line == 1 and SEPARATOR.fullmatch(delimiter.join(cells))
        yield line, reader.line_num, [] if said else cells


def _columns(path: Path, line: int, cells: list[str], known: tuple[str, ...]) -> list[str]:
    columns = [column_name(cell) for cell in cells]
    while len(columns) > 1 and not columns[-1]:
        columns.pop()
    if twice := [name for name in known if columns.count(name) > 1]:
        raise UserError(f"{path} line {line} names the column {twice[0]} twice: rename or remove one of the two")
    return columns


def _unclosed(path: Path, line: int) -> UserError:
    return UserError(
        f"{path} can't be read as a table (line {line}: a quotation mark is not closed, or text follows it): "
        "remove it, or close it at the end of the cell"
    )


def _holds_rows(cell: str, delimiter: str, cells: list[str]) -> bool:
    """Whether a cell of several lines has swallowed rows: one of its further lines holds delimiters like a row's."""
    return any(line.count(delimiter) >= max(1, len(cells) - 1) for line in cell.splitlines()[1:])


def _fitted(path: Path, line: int, cells: list[str], count: int) -> list[str]:
    """Exactly `count` cells: missing ones at the end are empty."""
    if any(cell.strip() for cell in cells[count:]):
        raise UserError(
            f"{path} line {line} has {len(cells)} cells, but the header has {count}: put a text that contains the "
            "delimiter into quotation marks"
        )
    return (cells + [""] * count)[:count]
