"""The splits that datasets come with: their names, and what can be used of them."""

import re

import pandas as pd

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
    "holdout": "test",
    "hold-out": "test",
    "hold_out": "test",
}
FOLDER = re.compile(rf"({'|'.join(SPLITS)})[ _-]?(set|data|images|split|\d*)")
LONGER = re.compile(rf".+[ _.-]({'|'.join(SPLITS)})")


def split_of_folder(name: str, whole: bool = False) -> str:
    """train | validation | test, or "" for a folder that is not named like a split.

    whole: only if nothing precedes the split's name, as in "faces_train".
    """
    text = name.strip().casefold()
    found = FOLDER.fullmatch(text) or (None if whole else LONGER.fullmatch(text))
    return SPLITS[found[1]] if found else ""


def use_given_splits(table: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """The table with the splits that can be used. notes: gets a line for each that differs from what the dataset says.

    All pictures in one split are no split. Where nothing is for testing, what is for validation is: ImageFolder datasets
    often have train and val only.
    """
    given = set(table["split"])
    if len(given) == 1 and given != {""}:
        notes.append(f"all pictures are in {given.pop()}: training and test pictures are drawn at random")
        return table.assign(split="")
    if given - {""} == {"train", "validation"}:
        notes.append("there is no test split: validation is used for it")
        table = table.assign(split=table["split"].replace("validation", "test"))
    characters = {split: set(table.loc[table["split"] == split, "character"]) for split in ("train", "test")}
    if characters["test"] and not characters["train"] & characters["test"]:
        notes.append("warning: no character has pictures in both train and test, so that no character can be tested")
    return table
