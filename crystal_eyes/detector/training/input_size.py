"""The input size of a detector: accuracy and time by size, and the smallest size that is accurate enough."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crystal_eyes.detector.runtime import HeadDetector
from crystal_eyes.evaluation.detection import PictureDetections, average_precision

SIZES = (256, 320, 384, 448, 512, 640)  # candidates: longer side, pixels
MAX_LOSS = 0.01  # of AP50, against the best candidate
ALL_CONFIDENCES = 0.01  # least confidence of detections that average precision is computed of


class SizeResult(NamedTuple):
    """Of one candidate: its size in pixels, average precision at IoU 0.5 and 0.75, mean milliseconds per picture."""

    image_size: int
    ap50: float
    ap75: float
    milliseconds: float


def run_detector(
    detector: HeadDetector, pictures: Iterable[tuple[np.ndarray, np.ndarray]]
) -> tuple[list[PictureDetections], np.ndarray]:
    """The detections in each picture, and float64 [n]: the milliseconds that each took.

    pictures: uint8 RGB [h, w, 3] with true boxes float32 [n, 4]; loading them is not timed.
    """
    detections, milliseconds = [], []
    for picture, boxes in pictures:
        start = time.perf_counter()
        found = detector.detect(picture, ALL_CONFIDENCES)
        milliseconds.append(1000 * (time.perf_counter() - start))
        detections.append(PictureDetections(boxes, *found))
    return detections, np.array(milliseconds)


def compare_sizes(
    detector: Path, read_pictures: Callable[[], Iterable[tuple[np.ndarray, np.ndarray]]], sizes: Iterable[int] = SIZES
) -> list[SizeResult]:
    """A result for each size. read_pictures: called for each size, returns the pictures that run_detector takes."""
    results = []
    for size in sizes:
        detections, milliseconds = run_detector(HeadDetector(detector, size), read_pictures())
        ap50, ap75 = (average_precision(detections, min_iou) for min_iou in (0.5, 0.75))
        results.append(SizeResult(size, ap50, ap75, float(milliseconds.mean()) if len(milliseconds) else 0.0))
    return results


def smallest_sufficient(results: list[SizeResult]) -> int:
    """The smallest size that loses less than MAX_LOSS of AP50 against the best."""
    best = max(result.ap50 for result in results)
    return min(result.image_size for result in results if result.ap50 > best - MAX_LOSS)
