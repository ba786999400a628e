"""Retrieval: MAP@R and precision@1."""

import numpy as np

CHUNK = 512  # queries at a time


def retrieval(embeddings: np.ndarray, labels: np.ndarray, artworks: np.ndarray | None = None) -> dict[str, float]:
    """map_at_r and precision_at_1 of unit-length float32 [n, d] embeddings with labels [n], each a query among the others.

    artworks: [n], pictures of a query's own artwork are left out of its results; None: each picture is its own artwork.
    MAP@R: Musgrave et al., A Metric Learning Reality Check, 2020. A picture without another one of its class is not a query.
    Both are nan where no class has two pictures, and for a single class, where every neighbor is right.

    Own code: the AccuracyCalculator of pytorch-metric-learning (the tests compare with it) cannot leave out artworks.
    """
    _, codes = np.unique(labels, return_inverse=True)
    works = np.arange(len(codes)) if artworks is None else np.unique(artworks, return_inverse=True)[1]
    r, precision, first = np.zeros(len(codes), int), np.zeros(len(codes)), np.zeros(len(codes))
    for start in range(0, len(codes), CHUNK):
        rows = slice(start, start + CHUNK)
        own = works[rows, None] == works
        same = (codes[rows, None] == codes) & ~own
        similar = np.where(own, -np.inf, embeddings[rows] @ embeddings.T)
        r[rows] = same.sum(axis=1)
        most = max(1, r[rows].max())
        nearest = np.argpartition(-similar, most - 1, axis=1)[:, :most]
        order = np.take_along_axis(nearest, np.argsort(-np.take_along_axis(similar, nearest, axis=1), axis=1), axis=1)
        places = np.arange(1, most + 1)
        hit = np.take_along_axis(same, order, axis=1) & (places <= r[rows, None])
        precision[rows] = (np.cumsum(hit, axis=1) / places * hit).sum(axis=1)
        first[rows] = hit[:, 0]
    asked = r > 0
    if codes.max(initial=0) == 0 or not asked.any():
        return {"map_at_r": float("nan"), "precision_at_1": float("nan")}
    return {"map_at_r": float((precision[asked] / r[asked]).mean()), "precision_at_1": float(first[asked].mean())}
