"""Tip-Adapter (Zhang et al., 2022): the Perceptron's logits, and for each class how alike its training embeddings are."""

from pathlib import Path
from typing import Self

import numpy as np
from safetensors.numpy import load_file, save_file

from crystal_eyes.classifiers.base import best_of_logits, in_pieces
from crystal_eyes.classifiers.perceptron import Perceptron

FILE = "cache.safetensors"


class TipAdapter:
    """logits = Perceptron + alpha x sum over a class's embeddings of exp(-beta x (1 - cosine))."""

    def __init__(self, perceptron: Perceptron, alpha: float, beta: float):
        self.perceptron, self.alpha, self.beta = perceptron, alpha, beta
        self.embeddings: np.ndarray | None = None
        self.labels: np.ndarray | None = None

    def fit(self, embeddings: np.ndarray, labels: np.ndarray) -> None:
        self.perceptron.fit(embeddings, labels)
        order = np.argsort(labels, kind="stable")
        self.embeddings, self.labels = np.asarray(embeddings, np.float32)[order], np.asarray(labels)[order]

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        """float32 [n, classes] of embeddings [n, d]."""
        x = np.asarray(embeddings, np.float32)
        alike = np.exp(-self.beta * (1 - x @ self.embeddings.T))
        starts = np.unique(self.labels, return_index=True)[1]
        return self.perceptron.logits(x) + self.alpha * np.add.reduceat(alike, starts, axis=1)

    def top_k(self, embeddings: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        return in_pieces(lambda piece: best_of_logits(self.logits(piece), k), embeddings)

    def save(self, folder: Path) -> None:
        self.perceptron.save(folder)
        settings = np.array([self.alpha, self.beta])
        save_file({"embeddings": self.embeddings, "labels": self.labels, "settings": settings}, folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What save wrote: it answers; it is not fitted again."""
        cache = load_file(folder / FILE)
        loaded = cls(Perceptron.load(folder), *(float(value) for value in cache["settings"]))
        loaded.embeddings, loaded.labels = cache["embeddings"], cache["labels"]
        return loaded
