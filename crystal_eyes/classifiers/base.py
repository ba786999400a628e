"""The interface of a classifier, and how scores become candidates."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

Candidates = tuple[np.ndarray, np.ndarray]  # labels and scores, as Classifier.top_k returns them
CHUNK = 1024  # queries at a time: scores are [CHUNK, classes]


@dataclass(frozen=True)
class NoOptions:
    """The options of a classifier that has none."""


class Classifier(ABC):
    """Names embeddings.

    A subclass declares its options as a dataclass `Options`. Its module must not import large libraries at the top: the
    registry imports all of them to read the options.
    """

    name: ClassVar[str]  # in the registry, in parameters and in files
    Options: ClassVar[type[Any]] = NoOptions
    built_on: ClassVar[str] = ""  # name of a classifier that this one contains, "" for none

    def __init__(self, options: Any, seed: int, base: "Classifier | None" = None):
        """options: an instance of Options; seed: random seed; base: an unfitted classifier named by built_on."""
        self.options, self.seed, self.base = options, seed, base

    def named_options(self) -> dict[str, Any]:
        """Its options and those of its base by full name: <classifier>_<option>."""
        own = {f"{self.name}_{option}": value for option, value in asdict(self.options).items()}
        return own | (self.base.named_options() if self.base else {})

    def unfitted(self) -> Self:
        """A new classifier with the same options and seed."""
        return type(self)(self.options, self.seed, self.base.unfitted() if self.base else None)

    @abstractmethod
    def fit(self, embeddings: np.ndarray, labels: np.ndarray) -> None:
        """Learn from float32 [n, d] embeddings with int64 labels [n] from 0 to classes - 1, every class present."""

    @abstractmethod
    def top_k(self, embeddings: np.ndarray, k: int) -> Candidates:
        """The k best classes of each embedding [n, d]: labels int64 [n, k], best first, and their scores float32 [n, k].

        With fewer than k classes, as many as there are.
        """

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the fitted state: no pickle, and the same bytes for the same state. Options and seed are not included."""

    @abstractmethod
    def load(self, folder: Path) -> None:
        """Read what save wrote, into a classifier with the same options and seed."""


def best(scores: np.ndarray, k: int) -> Candidates:
    """The k largest of each row of scores [n, classes] as (labels [n, k], scores [n, k]); equal scores: lower label first."""
    labels = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return labels.astype(np.int64), np.take_along_axis(scores, labels, axis=1).astype(np.float32)


def best_of_logits(logits: np.ndarray, k: int) -> Candidates:
    """Like best, of logits [n, classes]; the scores are their softmax.

    Ranked by logit: far behind the first class, the softmax is 0 for all.
    """
    from scipy.special import softmax

    labels, _ = best(logits, k)
    return labels, np.take_along_axis(softmax(logits, axis=1), labels, axis=1).astype(np.float32)


def in_chunks(top_k: Callable[[np.ndarray], Candidates], embeddings: np.ndarray) -> Candidates:
    """top_k of embeddings [n, d], called on CHUNK rows at a time: memory does not grow with queries times classes."""
    found = [top_k(embeddings[start : start + CHUNK]) for start in range(0, len(embeddings), CHUNK)]
    return np.concatenate([labels for labels, _ in found]), np.concatenate([scores for _, scores in found])
