"""How well heads are found: average precision, precision and recall."""

from typing import NamedTuple

import numpy as np

from crystal_eyes.boxes import iou


class Found(NamedTuple):
    """Of one picture: its true boxes [n, 4], the found ones [m, 4] and their confidences [m]."""

    truth: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray


def matches(found: Found, least_iou: float) -> np.ndarray:
    """bool [m]: found boxes that hit a true one. Each true box is hit once; the most confident box takes its nearest first."""
    hits = np.zeros(len(found.boxes), bool)
    shared = iou(found.boxes, found.truth)
    for row in np.argsort(-found.scores, kind="stable"):
        if shared.shape[1] and shared[row].max() >= least_iou:
            hits[row] = True
            shared[:, shared[row].argmax()] = -1
    return hits


def curve(pictures: list[Found], least_iou: float = 0.5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(confidence, precision, recall), each float [m]: when all boxes of at least that confidence count."""
    scores = np.concatenate([p.scores for p in pictures]) if pictures else np.zeros(0)
    hits = np.concatenate([matches(p, least_iou) for p in pictures]) if pictures else np.zeros(0, bool)
    order = np.argsort(-scores, kind="stable")
    right, truths = np.cumsum(hits[order]), sum(len(p.truth) for p in pictures)
    return scores[order], right / np.arange(1, len(order) + 1), right / max(truths, 1)


def average_precision(pictures: list[Found], least_iou: float) -> float:
    """Area under precision over recall, where precision at a recall is the best at that recall or a higher one (VOC 2010)."""
    _, precision, recall = curve(pictures, least_iou)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * best))


def measure(pictures: list[Found], confidence: float) -> dict[str, float]:
    """ap50, ap75, map50_95, and at IoU 0.5 precision and recall of the boxes of at least that confidence."""
    steps = [average_precision(pictures, 0.5 + 0.05 * step) for step in range(10)]
    scores, precision, recall = curve(pictures)
    sure = int((scores >= confidence).sum())
    return {
        "ap50": steps[0], "ap75": steps[5], "map50_95": float(np.mean(steps)),
        "precision": float(precision[sure - 1]) if sure else 1.0, "recall": float(recall[sure - 1]) if sure else 0.0,
    }  # fmt: skip
