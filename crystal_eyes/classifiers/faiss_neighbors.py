"""faiss: the most similar training embeddings vote, weighted by their cosine similarity."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crystal_eyes.classifiers.base import Candidates, Classifier, best, in_chunks
from crystal_eyes.options import option

if TYPE_CHECKING:
    import faiss

INDEX, LABELS = "neighbors.faiss", "labels.npy"


class FaissNeighbors(Classifier):
    name = "faiss"

    @dataclass(frozen=True)
    class Options:
        neighbors: int = option(10, "number of neighbors that vote, weighted by similarity", low=1, high=1000)

    def __init__(self, options: Any, seed: int, base: Classifier | None = None):
        super().__init__(options, seed, base)
        self.index: faiss.Index | None = None
        self.labels = np.zeros(0, np.int64)

    def fit(self, embeddings: np.ndarray, labels: np.ndarray) -> None:
        import faiss

        self.labels = np.asarray(labels, dtype=np.int64)
        # a flat index is exact, and at 40,000 references faster than building an approximate one
        self.index = faiss.IndexFlatIP(embeddings.shape[1])
        self.index.add(np.ascontiguousarray(embeddings, dtype=np.float32))

    def top_k(self, embeddings: np.ndarray, k: int) -> Candidates:
        """See Classifier. Classes of no neighbor get score 0 and come last, in the order of their labels."""
        assert self.index is not None, "not fitted"
        index, classes = self.index, int(self.labels.max()) + 1
        count = min(self.options.neighbors, index.ntotal)

        def vote(queries: np.ndarray) -> Candidates:
            similarity, rows = index.search(np.ascontiguousarray(queries, dtype=np.float32), count)
            votes = np.zeros((len(queries), classes), np.float32)
            # a neighbor at an angle of 90 degrees or more has next to no vote
            np.add.at(votes, (np.arange(len(queries))[:, None], self.labels[rows]), similarity.clip(min=1e-6))
            return best(votes / votes.sum(axis=1, keepdims=True), k)

        return in_chunks(vote, embeddings)

    def save(self, folder: Path) -> None:
        import faiss

        assert self.index is not None, "not fitted"
        folder.mkdir(parents=True, exist_ok=True)
        faiss.write_index(self.index, str(folder / INDEX))
        np.save(folder / LABELS, self.labels, allow_pickle=False)

    def load(self, folder: Path) -> None:
        import faiss

        self.index = faiss.read_index(str(folder / INDEX))
        self.labels = np.load(folder / LABELS, allow_pickle=False)
