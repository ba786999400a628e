"""A fitted classifier with the names of its characters, as a folder that describes itself (registry.read reads it).

classifier.json   which classifier, its options, its seed
characters.csv    label, character: the names in the order of the labels
...               what the classifier's own `save` writes
"""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crystal_eyes.classifiers.base import Classifier

DESCRIPTION, CHARACTERS = "classifier.json", "characters.csv"


@dataclass(frozen=True)
class FittedClassifier:
    classifier: Classifier
    characters: np.ndarray  # str [classes], in the order of the labels


def fit(classifier: Classifier, embeddings: np.ndarray, characters: np.ndarray) -> FittedClassifier:
    """Fit a classifier on embeddings float32 [n, d] of characters (str [n])."""
    names, labels = np.unique(characters, return_inverse=True)
    classifier.fit(embeddings, labels)
    return FittedClassifier(classifier, names)


def write(folder: Path, fitted: FittedClassifier) -> None:
    """Write a fitted classifier to a folder. Equal classifiers give equal bytes."""
    one = fitted.classifier
    one.save(folder)
    description = {"classifier": one.name, "options": one.named_options(), "seed": one.seed}
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1, sort_keys=True) + "\n", "utf-8")
    with open(folder / CHARACTERS, "w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["label", "character"])
        rows.writerows(enumerate(fitted.characters.tolist()))
