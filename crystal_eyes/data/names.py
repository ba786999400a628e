"""Normalizes names of characters and files: Unicode forms, line breaks, one name for two characters."""

import os
import unicodedata
from pathlib import Path

import pandas as pd

Cell = str | int | float | bool | None  # of a table; None and NaN are missing


def normalize(value: Cell) -> str:
    """A label as one line in Unicode's composed form (NFC); "" for a missing value."""
    return "" if pd.isna(value) else " ".join(unicodedata.normalize("NFC", str(value)).split())


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
