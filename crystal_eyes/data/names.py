"""Names in datasets: of characters (one name for two characters), and of files (Unicode forms, Windows paths)."""

import os
import re
import unicodedata
from functools import lru_cache
from pathlib import Path

import pandas as pd

from crystal_eyes.names import normalize_text

DRIVE = re.compile(r"^[A-Za-z]:/*|^/+")  # of Windows, or the root of a file system

Cell = str | int | float | bool | None  # of a table; None and NaN are missing


def normalize(value: Cell) -> str:
    """A label as one line in Unicode's composed form (NFC); "" for a missing value."""
    return "" if pd.isna(value) else " ".join(unicodedata.normalize("NFC", str(value)).split())


@lru_cache(maxsize=2**16)
def label(text: str) -> str:
    """The normalized name of a character, a series or a set; "" for none. Raises UserError for a text that is no name."""
    return normalize_text(text)


def find_listed(folder: str | Path, file: str) -> tuple[str, str | None]:
    """(name, path) of a file as a table names it; the path is None if it is missing.

    A Windows path is one with slashes. Of an absolute path that does not exist here, the longest end that exists in the
    folder counts: C:\\heads\\Miku\\1.png is Miku/1.png, or else 1.png.
    """
    path = find_file(folder, file)
    if path is not None or not file:
        return file, path
    name = file.replace("\\", "/")
    if name != file and (path := find_file(folder, name)) is not None:
        return name, path
    rest = DRIVE.sub("", name)
    while rest != name and rest:
        if (path := find_file(folder, rest)) is not None:
            return rest, path
        rest = rest.partition("/")[2].lstrip("/")
    return name, None


def find_file(folder: str | Path, name: str) -> str | None:
    """The path of that file in a folder, even if its name has the other Unicode form (macOS does that); None if missing."""
    for form in dict.fromkeys((name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name))):
        path = os.path.join(folder, form)
        if os.path.isfile(path):
            return path
    return None


def disambiguate(character: pd.Series, series: pd.Series, set_: pd.Series) -> pd.Series:
    """Labels in which characters of one name from several series (or else sets) differ.

    "rin" of two series becomes "rin (Love Live!)" and "rin (Project Sekai)"; all other names stay as they are.
    """
    home = series.where(series != "", set_)
    homes = home.groupby(character).transform("nunique")
    return character.where((homes == 1) | (home == ""), character + " (" + home + ")")
