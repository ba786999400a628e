"""A fitted classifier as a folder that describes itself.

classifier.json   which classifier, its options, its seed
characters.csv    label, character: the names in the order of the labels
...               what the classifier's own `save` writes
"""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crystal_eyes.classifiers.base import Classifier
from crystal_eyes.classifiers.registry import CLASSIFIERS, create, option_fields
from crystal_eyes.errors import UserError

DESCRIPTION, CHARACTERS = "classifier.json", "characters.csv"


@dataclass(frozen=True)
class FittedClassifier:
    name: str  # in the registry
    options: Mapping[str, Any]  # by full name (registry.option_fields)
    seed: int
    characters: np.ndarray  # str [classes], in the order of the labels
    classifier: Classifier


def fit(name: str, options: Mapping[str, Any], seed: int, embeddings: np.ndarray, characters: np.ndarray) -> FittedClassifier:
    """Fit a classifier of the registry on embeddings float32 [n, d] of characters (str [n]).

    options: by full name; others than the classifier's own are ignored.
    """
    names, labels = np.unique(characters, return_inverse=True)
    own = {full: options.get(full, field.default) for full, field in option_fields(name).items()}
    classifier = create(name, own, seed)
    classifier.fit(embeddings, labels)
    return FittedClassifier(name, own, seed, names, classifier)


def write(folder: Path, fitted: FittedClassifier) -> None:
    """Write a fitted classifier to a folder. Equal classifiers give equal bytes."""
    fitted.classifier.save(folder)
    described = {"classifier": fitted.name, "options": dict(fitted.options), "seed": fitted.seed}
    (folder / DESCRIPTION).write_text(json.dumps(described, indent=1, sort_keys=True) + "\n", "utf-8")
    with open(folder / CHARACTERS, "w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["label", "character"])
        rows.writerows(enumerate(fitted.characters.tolist()))


def read(folder: Path) -> FittedClassifier:
    """What write wrote. Raises UserError: the folder holds no fitted classifier."""
    try:
        described = json.loads((folder / DESCRIPTION).read_text("utf-8"))
        name, options, seed = described["classifier"], dict(described["options"]), int(described["seed"])
        with open(folder / CHARACTERS, encoding="utf-8", newline="") as file:
            characters = np.array([row["character"] for row in csv.DictReader(file)], dtype=str)
        if name not in CLASSIFIERS:
            raise ValueError(f"unknown classifier {name!r}")
        classifier = create(name, options, seed)
        classifier.load(folder)
    except Exception as error:  # every format has exceptions of its own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{folder} is not a fitted classifier ({reason})") from None
    return FittedClassifier(name, options, seed, characters, classifier)
