"""Fits one classifier on the training part of embeddings and names the test part."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from crystal_eyes.classifiers import fitted
from crystal_eyes.classifiers.base import Classifier
from crystal_eyes.encoder.embeddings import read_embeddings
from crystal_eyes.errors import UserError
from crystal_eyes.evaluation.top_k import rank_of_truth

CANDIDATES = 5


@dataclass(frozen=True)
class Classified:
    folder: Path  # the fitted classifier (crystal_eyes/classifiers/fitted.py)
    names: np.ndarray  # str [classes], of the characters by label
    tested: pd.DataFrame  # rows of the embeddings' table, n of them
    trained_encoder: np.ndarray  # str: characters that the encoder was trained on
    candidates: np.ndarray  # int [n, CANDIDATES] labels, best first
    scores: np.ndarray  # float32 [n, CANDIDATES]
    ranks: np.ndarray  # int [n], position of the truth among the candidates
    fit_seconds: float
    query_seconds: float


def classify(embeddings: Path, classifier: Classifier, workspace: Path) -> Classified:
    """embeddings: folder that embed wrote; classifier: not fitted.

    Raises UserError with fewer than two characters or nothing to test on.
    """
    vectors, arrow = read_embeddings(embeddings)
    table = arrow.to_pandas()
    split, character = table["classifier_split"].to_numpy(str), table["character"].to_numpy(str)
    train = np.flatnonzero(split == "train")
    names = np.unique(character[train])
    test = np.flatnonzero((split == "test") & np.isin(character, names))
    if len(names) < 2 or not len(test):
        raise UserError(f"{embeddings} has too few heads: {len(names)} characters for training, {len(test)} heads for testing")

    print(f"{classifier.name}: fitting {len(train)} embeddings of {len(names)} characters", flush=True)
    start = time.perf_counter()
    found = fitted.fit(classifier, vectors[train], character[train])
    fit_seconds = time.perf_counter() - start
    start = time.perf_counter()
    candidates, scores = classifier.top_k(vectors[test], CANDIDATES)
    query_seconds = time.perf_counter() - start
    folder = workspace / "classifier"
    fitted.write(folder, found)

    return Classified(
        folder,
        names,
        table.iloc[test].reset_index(drop=True),
        np.unique(character[table["encoder_split"] == "train"]),
        candidates,
        scores,
        rank_of_truth(candidates, np.searchsorted(names, character[test])),
        fit_seconds,
        query_seconds,
    )
