"""Naming: top-k accuracy with a bootstrap interval."""

import numpy as np


def rank_of_truth(candidates: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """int [n]: the position (from 0) of the true class [n] in each row of candidates [n, k], or k where it is missing."""
    hit = candidates == truth[:, None]
    return np.where(hit.any(axis=1), hit.argmax(axis=1), candidates.shape[1])


def top_k_accuracy(ranks: np.ndarray, k: int) -> float:
    """Share of pictures whose true class is among the first k candidates. ranks: int [n], as rank_of_truth gives."""
    return float((ranks < k).mean())


def bootstrap_interval(hits: np.ndarray, classes: np.ndarray, seed: int, rounds: int = 1000) -> tuple[float, float]:
    """95 % bootstrap interval of the mean of hits [n], where whole classes [n] are resampled with replacement.

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
