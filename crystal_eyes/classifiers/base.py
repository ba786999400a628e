"""The interface of a classifier, and how scores become candidates."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from scipy.special import softmax

Candidates = tuple[np.ndarray, np.ndarray]  # labels and scores, as top_k gives them
CHUNK = 1024  # queries at a time: scores are [CHUNK, classes]


class Classifier(Protocol):
    def fit(self, embeddings: np.ndarray, labels: np.ndarray) -> None:
        """Learn from float32 [n, d] embeddings with int64 labels [n] from 0 to classes - 1, every class present."""

    def top_k(self, embeddings: np.ndarray, k: int) -> Candidates:
        """The k best classes of each embedding [n, d]: labels int64 [n, k], best first, and their scores float32 [n, k].

        With fewer than k classes, as many as there are.
        """

    def save(self, folder: Path) -> None:
        """Write everything that load needs, no pickle."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What save wrote."""


def best(scores: np.ndarray, k: int) -> Candidates:
    """The k largest of each row of scores [n, classes] as (labels [n, k], scores [n, k]); equal scores: lower label first."""
    labels = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return labels.astype(np.int64), np.take_along_axis(scores, labels, axis=1).astype(np.float32)


def best_of_logits(logits: np.ndarray, k: int) -> Candidates:
    """The same of logits [n, classes], scores: their softmax. Ranked before it: far behind the first, softmax is 0 for all."""
    labels, _ = best(logits, k)
    return labels, np.take_along_axis(softmax(logits, axis=1), labels, axis=1).astype(np.float32)


def in_pieces(top_k: Callable[[np.ndarray], Candidates], embeddings: np.ndarray) -> Candidates:
    """What top_k gives of embeddings [n, d], asked in pieces: memory does not grow with queries times classes."""
    found = [top_k(embeddings[start : start + CHUNK]) for start in range(0, len(embeddings), CHUNK)]
    return np.concatenate([labels for labels, _ in found]), np.concatenate([scores for _, scores in found])
