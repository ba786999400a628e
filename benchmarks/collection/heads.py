"""Embeddings of drawn characters that nobody drew, with the statistics of a bundle's real ones."""

import json
from pathlib import Path

import numpy as np

from crystal_eyes.recognizer.gallery import EMBEDDINGS, ROWS, from_stored

HEADS_EACH = 50  # of a character, on average
BATCH = 50_000


class Population:
    """Draws embeddings: characters spread like the bundle's characters, heads around each like its reference heads."""

    def __init__(self, bundle: Path, heads: int, seed: int = 0):
        """heads: how many `draw` gives in all."""
        references = from_stored(np.load(bundle / EMBEDDINGS, allow_pickle=False))
        names = np.array([name for name, _ in json.loads((bundle / ROWS).read_text("utf-8"))])
        _, labels = np.unique(names, return_inverse=True)
        counts = np.bincount(labels)[:, None]
        sums = np.zeros((len(counts), references.shape[1]), np.float32)
        np.add.at(sums, labels, references)
        means = sums / counts
        several = (counts > 2)[labels, 0]
        # the mean of few heads is too near to each of them
        scale = np.sqrt(counts / (counts - 1).clip(1))[labels]
        self._around = _root((references - means[labels])[several] * scale[several])
        self._middle = means.mean(axis=0)
        self._rng = np.random.default_rng(seed)
        self.heads, characters = heads, max(1, heads // HEADS_EACH)
        self._between = _root(means - self._middle)
        self._centers = self.characters(characters)
        self._strangers = self.characters(1000)
        self._popularity = self._rng.pareto(1.5, characters) + 0.2
        self._popularity /= self._popularity.sum()

    def characters(self, count: int) -> np.ndarray:
        """float32 [count, d]: the centers of new characters."""
        return self._middle + self._rng.standard_normal((count, len(self._middle)), np.float32) @ self._between

    def draw(self) -> "np.ndarray":
        """float32 [heads, d], unit length."""
        out = np.empty((self.heads, len(self._middle)), np.float32)
        for start in range(0, self.heads, BATCH):
            count = min(BATCH, self.heads - start)
            out[start : start + count] = self.heads_of(
                self._centers[self._rng.choice(len(self._centers), count, p=self._popularity)]
            )
        return out

    def queries(self, count: int) -> np.ndarray:
        """float32 [count, d]: new heads, four fifths of characters that are in the collection, the rest of strangers."""
        known = self._rng.choice(len(self._centers), count - count // 5, p=self._popularity)
        strange = self._rng.integers(0, len(self._strangers), count // 5)
        return self.heads_of(np.concatenate([self._centers[known], self._strangers[strange]]))

    def heads_of(self, centers: np.ndarray) -> np.ndarray:
        """float32 [n, d], unit length: a head of each character."""
        noise = self._rng.standard_normal((len(centers), self._around.shape[1]), np.float32) @ self._around
        heads = centers + noise
        return (heads / np.linalg.norm(heads, axis=1, keepdims=True)).astype(np.float32)


def _root(rows: np.ndarray) -> np.ndarray:
    """float32 [d, d]: standard normal values times it have the covariance of the rows."""
    values, vectors = np.linalg.eigh(np.cov(rows, rowvar=False))
    return (vectors * np.sqrt(values.clip(0))).T.astype(np.float32)


def exact(embeddings: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """int [queries, k]: the rows of the most similar embeddings, computed in full."""
    best = np.zeros((len(queries), 0), np.float32)
    rows = np.zeros((len(queries), 0), int)
    for start in range(0, len(embeddings), BATCH):
        part = queries @ embeddings[start : start + BATCH].T
        best = np.concatenate([best, part], axis=1)
        rows = np.concatenate([rows, np.broadcast_to(np.arange(start, start + part.shape[1]), part.shape)], axis=1)
        keep = np.argsort(-best, axis=1)[:, :k] if best.shape[1] <= k else np.argpartition(-best, k, axis=1)[:, :k]
        best, rows = np.take_along_axis(best, keep, 1), np.take_along_axis(rows, keep, 1)
    return np.take_along_axis(rows, np.argsort(-best, axis=1), 1)


def recall(found: np.ndarray, expected: np.ndarray) -> float:
    """The share of the expected rows, int [n, k], that were found, int [n, at least k]."""
    return float(np.mean([len(set(f[: len(e)]) & set(e)) / len(e) for f, e in zip(found.tolist(), expected.tolist())]))
