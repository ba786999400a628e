"""How well heads are found: average precision, precision and recall.

Own code, with pycocotools as the oracle in the tests: 30 lines of numpy instead of a compiled dependency, and the exact area
under the curve, which COCO samples at 101 recalls.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from crystal_eyes.boxes import iou


class PictureDetections(NamedTuple):
    """One picture: true boxes float32 [n, 4], detected boxes float32 [m, 4] and their confidences float32 [m]."""

    truth: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray

    def above(self, confidence: float) -> "PictureDetections":
        """The same picture with the detections of at least that confidence."""
        confident = self.scores >= confidence
        return PictureDetections(self.truth, self.boxes[confident], self.scores[confident])


def true_positives(picture: PictureDetections, min_iou: float) -> np.ndarray:
    """bool [m]: detections that match a true box. Each true box matches once; by falling confidence, each detection takes the
    free true box that it overlaps most.
    """
    hits = np.zeros(len(picture.boxes), bool)
    shared = iou(picture.boxes, picture.truth)
    for row in np.argsort(-picture.scores, kind="stable"):
        if shared.shape[1] and shared[row].max() >= min_iou:
            hits[row] = True
            shared[:, shared[row].argmax()] = -1
    return hits


def precision_recall_curve(
    pictures: Sequence[PictureDetections], min_iou: float = 0.5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Confidence, precision and recall, each float [m] by falling confidence: of all detections of at least that confidence."""
    scores = np.concatenate([p.scores for p in pictures]) if pictures else np.zeros(0)
    hits = np.concatenate([true_positives(p, min_iou) for p in pictures]) if pictures else np.zeros(0, bool)
    order = np.argsort(-scores, kind="stable")
    right, truths = np.cumsum(hits[order]), sum(len(p.truth) for p in pictures)
    return scores[order], right / np.arange(1, len(order) + 1), right / max(truths, 1)


def average_precision(pictures: Sequence[PictureDetections], min_iou: float) -> float:
    """Area under precision over recall, where precision at a recall is the best at that recall or a higher one (VOC 2010)."""
    _, precision, recall = precision_recall_curve(pictures, min_iou)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * best))


def detection_metrics(pictures: Sequence[PictureDetections], confidence: float) -> dict[str, float]:
    """ap50, ap75, map50_95 (mean over IoU 0.5, 0.55 ... 0.95); and at IoU 0.5, precision and recall of the detections of at
    least that confidence.
    """
    steps = [average_precision(pictures, 0.5 + 0.05 * step) for step in range(10)]
    scores, precision, recall = precision_recall_curve(pictures)
    confident = int((scores >= confidence).sum())
    return {
        "ap50": steps[0],
        "ap75": steps[5],
        "map50_95": float(np.mean(steps)),
        "precision": float(precision[confident - 1]) if confident else 1.0,
        "recall": float(recall[confident - 1]) if confident else 0.0,
    }
