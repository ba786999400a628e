"""Tip-Adapter (Zhang et al., 2022): the perceptron's logits plus, for each class, the similarity to its training embeddings."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crystal_eyes.classifiers.base import Candidates, Classifier, best_of_logits, in_chunks
from crystal_eyes.classifiers.perceptron import Perceptron
from crystal_eyes.options import option

FILE = "cache.safetensors"


class TipAdapter(Classifier):
    """logits = perceptron + alpha x sum over a class's embeddings of exp(-beta x (1 - cosine))."""

    name = "tip_adapter"

    @dataclass(frozen=True)
    class Options:
        alpha: float = option(
            1.0, "weight of the similarity term that is added to the perceptron's logits", low=0.0, high=1000.0
        )
        beta: float = option(
            5.5, "sharpness of the similarity: higher values favor the most similar embeddings", low=0.01, high=1000.0
        )

    built_on = Perceptron.name

    def __init__(self, options: Any, seed: int, base: Classifier | None = None):
        super().__init__(options, seed, base)
        if not isinstance(base, Perceptron):
            raise TypeError("a Tip-Adapter is built on a perceptron")
        self.perceptron = base
        self.embeddings = np.zeros((0, 0), np.float32)  # of training, in the order of their labels
        self.labels = np.zeros(0, np.int64)

    def fit(self, embeddings: np.ndarray, labels: np.ndarray) -> None:
        self.perceptron.fit(embeddings, labels)
        order = np.argsort(labels, kind="stable")
        self.embeddings, self.labels = np.asarray(embeddings, np.float32)[order], np.asarray(labels)[order]

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        """float32 [n, classes] of embeddings [n, d]."""
        x = np.asarray(embeddings, np.float32)
        similarity = np.exp(-self.options.beta * (1 - x @ self.embeddings.T))
        starts = np.unique(self.labels, return_index=True)[1]
        return self.perceptron.logits(x) + self.options.alpha * np.add.reduceat(similarity, starts, axis=1)

    def top_k(self, embeddings: np.ndarray, k: int) -> Candidates:
        return in_chunks(lambda chunk: best_of_logits(self.logits(chunk), k), embeddings)

    def save(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        self.perceptron.save(folder)
        save_file({"embeddings": self.embeddings, "labels": self.labels}, folder / FILE)

    def load(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        self.perceptron.load(folder)
        tensors = load_file(folder / FILE)
        self.embeddings, self.labels = tensors["embeddings"], tensors["labels"]
