"""All classifiers by name: makes one from named options, reads a fitted one. Importing it loads no large library."""

import csv
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from crystal_eyes.classifiers.base import Classifier
from crystal_eyes.classifiers.faiss_neighbors import FaissNeighbors
from crystal_eyes.classifiers.fitted import CHARACTERS, DESCRIPTION, FittedClassifier
from crystal_eyes.classifiers.k_neighbors import KNeighbors
from crystal_eyes.classifiers.lda import Lda
from crystal_eyes.classifiers.linear import Linear
from crystal_eyes.classifiers.linear_svc import LinearSvc
from crystal_eyes.classifiers.logistic_regression import LogisticRegression
from crystal_eyes.classifiers.nearest_centroid import NearestCentroid
from crystal_eyes.classifiers.perceptron import Perceptron
from crystal_eyes.classifiers.random_forest import RandomForest
from crystal_eyes.classifiers.ridge import Ridge
from crystal_eyes.classifiers.tip_adapter import TipAdapter
from crystal_eyes.errors import UserError

CLASSIFIERS: dict[str, type[Classifier]] = {
    kind.name: kind
    for kind in (
        Perceptron,
        FaissNeighbors,
        Lda,
        Ridge,
        LogisticRegression,
        TipAdapter,
        LinearSvc,
        KNeighbors,
        RandomForest,
        NearestCentroid,
    )
}
LINEAR = tuple(name for name, kind in CLASSIFIERS.items() if issubclass(kind, Linear))  # those that a bundle can hold


def option_fields(name: str) -> dict[str, dataclasses.Field[Any]]:
    """The options of a classifier and of the one it is built on, by full name: <classifier>_<option>."""
    kind = CLASSIFIERS[name]
    own = {f"{name}_{field.name}": field for field in dataclasses.fields(kind.Options)}
    return own | (option_fields(kind.built_on) if kind.built_on else {})


def create(name: str, options: Mapping[str, Any], seed: int) -> Classifier:
    """A classifier, not fitted.

    options: values by full name; missing ones have their defaults, options of other classifiers are ignored. seed: the
    random seed.
    """
    kind = CLASSIFIERS[name]
    given = {field.name: options[f"{name}_{field.name}"] for field in dataclasses.fields(kind.Options)
             if f"{name}_{field.name}" in options}  # fmt: skip
    return kind(kind.Options(**given), seed, create(kind.built_on, options, seed) if kind.built_on else None)


def read(folder: Path) -> FittedClassifier:
    """What fitted.write wrote. Raises UserError: the folder holds no fitted classifier."""
    try:
        description = json.loads((folder / DESCRIPTION).read_text("utf-8"))
        if description["classifier"] not in CLASSIFIERS:
            raise ValueError(f"unknown classifier {description['classifier']!r}")
        classifier = create(description["classifier"], description["options"], int(description["seed"]))
        classifier.load(folder)
        with open(folder / CHARACTERS, encoding="utf-8", newline="") as file:
            characters = np.array([row["character"] for row in csv.DictReader(file)], dtype=str)
    except Exception as error:  # every format has its own exceptions
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{folder} is not a fitted classifier ({reason})") from None
    return FittedClassifier(classifier, characters)
