"""faiss neighbours: the most similar training embeddings vote, weighted by their cosine similarity."""

import json
from pathlib import Path
from typing import Self

import faiss
import numpy as np

from crystal_eyes.classifiers.base import Candidates, best, in_pieces

INDEX, LABELS, SETTINGS = "neighbours.faiss", "labels.npy", "settings.json"


class FaissNeighbours:
    def __init__(self, neighbors: int):
        self.neighbors = neighbors
        self.index: faiss.Index | None = None
        self.labels: np.ndarray | None = None

    def fit(self, embeddings: np.ndarray, labels: np.ndarray) -> None:
        self.labels = np.asarray(labels, dtype=np.int64)
        # flat: exact, and at 40,000 references faster than building an approximate index
        self.index = faiss.IndexFlatIP(embeddings.shape[1])
        self.index.add(np.ascontiguousarray(embeddings, dtype=np.float32))

    def top_k(self, embeddings: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """See Classifier. A class that no neighbour has gets score 0 and comes after the others, in order of its label."""
        classes = int(self.labels.max()) + 1
        count = min(self.neighbors, self.index.ntotal)

        def voted(queries: np.ndarray) -> Candidates:
            similarity, rows = self.index.search(np.ascontiguousarray(queries, dtype=np.float32), count)
            votes = np.zeros((len(queries), classes), np.float32)
            # a neighbour at an angle of 90 degrees or more has no vote
            np.add.at(votes, (np.arange(len(queries))[:, None], self.labels[rows]), similarity.clip(min=1e-6))
            return best(votes / votes.sum(axis=1, keepdims=True), k)

        return in_pieces(voted, embeddings)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        faiss.write_index(self.index, str(folder / INDEX))
        np.save(folder / LABELS, self.labels, allow_pickle=False)
        (folder / SETTINGS).write_text(json.dumps({"neighbors": self.neighbors}))

    @classmethod
    def load(cls, folder: Path) -> Self:
        loaded = cls(**json.loads((folder / SETTINGS).read_text()))
        loaded.index = faiss.read_index(str(folder / INDEX))
        loaded.labels = np.load(folder / LABELS, allow_pickle=False)
        return loaded
