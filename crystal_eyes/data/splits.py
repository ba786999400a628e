"""Splits of the heads into training, validation and test parts, none of which share an artwork.

The encoder's split divides the characters: those it is trained on, unseen ones that select its best epoch, and unseen ones that
only report. The classifiers' split divides the pictures of every character into a training and a test part; the encoder is
never trained on the test part.
"""

import numpy as np
import pandas as pd

from crystal_eyes.data.catalogue import artworks
from crystal_eyes.data.options import SplitOptions
from crystal_eyes.data.stable_number import stable_number
from crystal_eyes.errors import UserError


def assign_splits(table: pd.DataFrame, options: SplitOptions, seed: int) -> pd.DataFrame:
    """The table with the columns encoder_split and classifier_split (see catalogue.SCHEMA).

    Needs the columns file, character, artwork and split (as given by the dataset, or ""). A character with fewer pictures than
    train + test is split in proportion; one drawn in a single artwork can't be split and is not tested on.
    Raises UserError with fewer than 4 characters that can be split: too few to train on some and keep others unseen.
    """
    classifier = np.full(len(table), "", dtype=object)
    for character, members in table.groupby("character", sort=True).indices.items():
        rows = np.asarray(members)
        rows = rows[np.argsort(table["file"].iloc[rows].to_numpy(dtype=str), kind="stable")]  # whatever the table's order
        rng = np.random.default_rng([seed, stable_number(str(character))])
        part = table.iloc[rows]
        classifier[rows] = (
            _given(part) if (part["split"] != "").any()
            else _split_character(artworks(part), options.train_per_character, options.test_per_character, rng)
        )  # fmt: skip
    # a character drawn in one artwork only, or with an empty side, can't be tested on
    sides = pd.DataFrame({"character": table["character"], "side": classifier})
    both = sides[sides["side"] != ""].groupby("character")["side"].nunique()
    usable = table["character"].isin(both[both == 2].index).to_numpy()
    classifier[~usable & (classifier == "test")] = ""

    names = sorted(table["character"][usable].unique(), key=lambda name: stable_number(f"{seed} {name}"))
    if len(names) < 4:
        raise UserError(
            f"too few characters with pictures for training and testing ({len(names)}): at least 4 are needed, "
            "with 2 different pictures each; add characters or lower min_pictures"
        )
    at_least = 2 if len(names) >= 8 else 1  # among the pictures of a single character every neighbor is right
    validation = max(at_least, round(len(names) * options.validation_characters))
    test = max(at_least, round(len(names) * options.test_characters))
    if len(names) - validation - test < 2:
        raise UserError("validation_characters and test_characters leave fewer than 2 characters to train on: lower them")
    group = dict.fromkeys(names[:validation], "validation") | dict.fromkeys(names[validation : validation + test], "test")
    encoder = table["character"].map(lambda name: group.get(name, "train")).to_numpy(dtype=object)
    # pictures that results are reported on are neither trained on nor used to choose an epoch
    hidden = (classifier == "test") | (table["split"] == "test").to_numpy() | (table["split"] == "validation").to_numpy()
    encoder[(encoder != "test") & hidden] = ""
    # pictures of an artwork that has a test picture anywhere go with it
    artwork = artworks(table)
    shared = np.isin(artwork, artwork[classifier == "test"]) & (classifier != "test")
    encoder[shared & (encoder != "test")] = ""
    classifier[shared] = ""
    # an artwork that shows characters of several groups belongs to test, else to validation
    encoder[np.isin(artwork, artwork[encoder == "test"]) & (encoder != "test")] = ""
    encoder[np.isin(artwork, artwork[encoder == "validation"]) & (encoder == "train")] = ""
    return table.assign(encoder_split=encoder, classifier_split=classifier)


def _given(part: pd.DataFrame) -> np.ndarray:
    """object [n]: the dataset's own split of a character; pictures for validation are in neither part."""
    return part["split"].where(part["split"].isin(["train", "test"]), "").to_numpy(dtype=object)


def _split_character(artworks: np.ndarray, train: int, test: int, rng: np.random.Generator) -> np.ndarray:
    """object [n] of train | test | "": whole random artworks, at most `train` and `test` pictures, in proportion if fewer."""
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
