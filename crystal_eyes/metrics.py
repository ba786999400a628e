"""Measures: retrieval (MAP@R, precision@1) and naming (top-k accuracy with a bootstrap interval)."""

import numpy as np
import torch
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator


def retrieval(embeddings: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """map_at_r and precision_at_1 of float32 [n, d] embeddings with labels [n], each picture a query among the others.

    MAP@R: Musgrave et al., A Metric Learning Reality Check, 2020. A picture alone in its class is no query.
    Both are nan where no class has two pictures, and of a single class, where every neighbour is right.
    """
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(counts) < 2 or not (counts > 1).any():
        return {"map_at_r": float("nan"), "precision_at_1": float("nan")}
    names = {"mean_average_precision_at_r": "map_at_r", "precision_at_1": "precision_at_1"}
    calculator = AccuracyCalculator(include=tuple(names), k="max_bin_count", device=torch.device("cpu"))
    found = calculator.get_accuracy(torch.from_numpy(np.ascontiguousarray(embeddings)), torch.from_numpy(codes))
    return {names[name]: float(value) for name, value in found.items()}


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
