"""Splits that never share an artwork.

Three groups of characters: those the encoder learns from, unseen ones that choose its best epoch, and unseen ones that
nothing is chosen on. Within every character, a training part and a test part for the classifiers: the test part is
never shown to the encoder either.
"""

import numpy as np
import pandas as pd

from crystal_eyes.data.catalogue import artworks
from crystal_eyes.data.selection import stable_number
from crystal_eyes.errors import UserError


def assign_splits(
    table: pd.DataFrame,
    *,
    train_per_character: int,
    test_per_character: int,
    validation_characters: float,
    test_characters: float,
    seed: int,
) -> pd.DataFrame:
    """The table with encoder_split and classifier_split filled in (see catalogue.SCHEMA).

    Needs the columns character, artwork and split (given by the dataset, or ""). A character whose pictures are fewer than
    train + test is split in proportion; one drawn in a single artwork can't be split and gets "" for both.
    Raises UserError with fewer than 4 characters: too few to keep some unseen and learn from the others.
    """
    classifier = np.full(len(table), "", dtype=object)
    for character, rows in table.groupby("character", sort=True).indices.items():
        rows = rows[np.argsort(table["file"].iloc[rows].to_numpy(dtype=str), kind="stable")]  # whatever the rows' order
        rng = np.random.default_rng([seed, stable_number(character)])
        part = table.iloc[rows]
        classifier[rows] = (
            _given(part) if (part["split"] != "").any()
            else _split_character(artworks(part), train_per_character, test_per_character, rng)
        )  # fmt: skip
    # a character in one artwork only, or with an empty side, is no use to a classifier
    sides = pd.DataFrame({"character": table["character"], "side": classifier})
    both = sides[sides["side"] != ""].groupby("character")["side"].nunique()
    usable = table["character"].isin(both[both == 2].index).to_numpy()
    classifier[~usable & (classifier == "test")] = ""

    names = sorted(table["character"][usable].unique(), key=lambda name: stable_number(f"{seed} {name}"))
    if len(names) < 4:
        raise UserError(
            f"{len(names)} characters with pictures for training and testing: at least 4 are needed, "
            "with 2 different pictures each; add some or lower min_pictures"
        )
    least = 2 if len(names) >= 8 else 1  # among the pictures of a single character every neighbour is right
    validation = max(least, round(len(names) * validation_characters))
    test = max(least, round(len(names) * test_characters))
    if len(names) - validation - test < 2:
        raise UserError("validation_characters and test_characters leave fewer than 2 characters to learn from: lower them")
    group = dict.fromkeys(names[:validation], "validation") | dict.fromkeys(names[validation : validation + test], "test")
    encoder = table["character"].map(lambda name: group.get(name, "train")).to_numpy(dtype=object)
    # what reports a result is never learned from nor chosen on
    hidden = (classifier == "test") | (table["split"] == "test").to_numpy() | (table["split"] == "validation").to_numpy()
    encoder[(encoder != "test") & hidden] = ""
    # pictures of an artwork that has a test picture anywhere go with it
    artwork = artworks(table)
    shared = np.isin(artwork, artwork[classifier == "test"]) & (classifier != "test")
    encoder[shared & (encoder != "test")] = ""
    classifier[shared] = ""
    # and one that shows characters of several groups counts for what is reported, then for what is chosen on
    encoder[np.isin(artwork, artwork[encoder == "test"]) & (encoder != "test")] = ""
    encoder[np.isin(artwork, artwork[encoder == "validation"]) & (encoder == "train")] = ""
    return table.assign(encoder_split=encoder, classifier_split=classifier)


def _given(part: pd.DataFrame) -> np.ndarray:
    return part["split"].where(part["split"].isin(["train", "test"]), "").to_numpy(dtype=object)


def _split_character(artworks: np.ndarray, train: int, test: int, rng: np.random.Generator) -> np.ndarray:
    """object [n] of train | test | "": whole artworks at random, at most so many pictures a side, in proportion if fewer."""
    names, counts = np.unique(artworks, return_counts=True)
    out = np.full(len(artworks), "", dtype=object)
    if len(names) < 2:
        return out
    total = min(len(artworks), train + test)
    want_test = min(max(1, round(total * test / (train + test))), total - 1)
    order = rng.permutation(len(names))
    taken, side_test = 0, []
    for artwork in order[:-1]:  # the last one is always left for training
        if taken and taken + counts[artwork] > want_test:
            continue
        side_test.append(names[artwork])
        taken += counts[artwork]
        if taken >= want_test:
            break
    out[np.isin(artworks, side_test)] = "test"
    rest = np.flatnonzero(out != "test")
    out[rng.permutation(rest)[:train]] = "train"
    return out
