"""Measures: retrieval (MAP@R, precision@1) and naming (top-k accuracy with a bootstrap interval)."""

import numpy as np

CHUNK = 512  # queries at a time


def retrieval(embeddings: np.ndarray, labels: np.ndarray, artworks: np.ndarray | None = None) -> dict[str, float]:
    """map_at_r and precision_at_1 of unit-length float32 [n, d] embeddings with labels [n], each a query among the others.

    artworks: [n], a query isn't asked for pictures of its own artwork; None: each picture is its own.
    MAP@R: Musgrave et al., A Metric Learning Reality Check, 2020. A picture without another of its class is no query.
    Both are nan where no class has two pictures, and of a single class, where every neighbour is right.
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


def rank_of_truth(candidates: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """int [n]: the place (from 0) of the true class among each row of candidates [n, k], or k where it is missing."""
    hit = candidates == truth[:, None]
    return np.where(hit.any(axis=1), hit.argmax(axis=1), candidates.shape[1])


def top_k_accuracy(ranks: np.ndarray, k: int) -> float:
    """Share of pictures whose true class is among the first k candidates. ranks: int [n], as rank_of_truth gives."""
    return float((ranks < k).mean())


def bootstrap_interval(hits: np.ndarray, classes: np.ndarray, seed: int, rounds: int = 1000) -> tuple[float, float]:
    """95 % interval of the mean of hits [n] when whole classes [n] are drawn again with replacement.

    Pictures of one character are not independent, so characters are resampled, not pictures (Field and Welsh, 2007).
    """
    _, codes = np.unique(classes, return_inverse=True)
    count = codes.max() + 1
    total, good = np.bincount(codes, minlength=count), np.bincount(codes, weights=hits, minlength=count)
    rng = np.random.default_rng(seed)
    # drawing `count` characters with replacement = multinomial weights
    weights = rng.multinomial(count, np.full(count, 1 / count), size=rounds)
    means = (weights @ good) / (weights @ total)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
