"""Strips: panoramas and long pages, which are searched for heads in overlapping windows."""

import numpy as np

from crystal_eyes.boxes import area, intersection, iou

MAX_ASPECT_RATIO = 3.0  # a longer picture is a strip
WINDOW, OVERLAP = 1.8, 0.9  # lengths of a window and of its overlap with the next, in shorter sides of the strip
MAX_WINDOWS = 64  # of one strip: where more would be needed, windows are longer, and heads appear smaller in them
MIN_SIDE = 16  # pixels: a narrower strip can't show a head
CUT_MARGIN = 0.02  # of a window's shorter side: a box that ends this close to a border of its window may be cut there
CONTAINED = 0.6  # share of the smaller of two boxes that lies in the other: they show one head

Window = tuple[int, int, int, int]  # left, top, right, bottom in pixels of the picture


def windows(width: int, height: int) -> list[Window]:
    """The parts of a picture to search: the whole picture, or equally large windows along a strip, at most MAX_WINDOWS; none
    of a strip narrower than MIN_SIDE.

    Two neighbors overlap by about OVERLAP shorter sides, so that a head up to that size is whole in one of them.
    """
    long, short = max(width, height), min(width, height)
    if long <= MAX_ASPECT_RATIO * short:
        return [(0, 0, width, height)]
    if short < MIN_SIDE:
        return []
    overlap = round(OVERLAP * short)
    count = min(MAX_WINDOWS, -(-(long - overlap) // (round(WINDOW * short) - overlap)))
    side = overlap - (-(long - overlap) // count)
    starts = [number * (long - side) // (count - 1) for number in range(count)]
    return [(0, start, width, start + side) if height > width else (start, 0, start + side, height) for start in starts]


def is_cut(boxes: np.ndarray, found_in: np.ndarray, width: int, height: int) -> np.ndarray:
    """bool [n]: boxes that end at a border of their window, float32 [n, 4], beyond which the picture of that size goes on."""
    margin = CUT_MARGIN * (found_in[:, 2:] - found_in[:, :2]).min(axis=1, keepdims=True)
    first: np.ndarray = (boxes[:, :2] < found_in[:, :2] + margin) & (found_in[:, :2] > 0)
    last: np.ndarray = (boxes[:, 2:] > found_in[:, 2:] - margin) & (found_in[:, 2:] < (width, height))
    return np.any(first | last, axis=1)


def merge(boxes: np.ndarray, scores: np.ndarray, rank: np.ndarray, max_iou: float) -> np.ndarray:
    """int [k], the rows of the boxes to keep, by falling score: each head once, and whole where some window shows it whole.

    scores: float [n]; rank: int or bool [n], as from is_cut. A box is dropped where its IoU with a kept one is above max_iou,
    or where more than CONTAINED of the smaller of them lies in the other. Boxes of lower ranks are kept first.
    """
    keep: list[int] = []
    for row in np.lexsort((-scores, rank)):
        box, kept = boxes[row : row + 1], boxes[keep]
        contained = intersection(box, kept)[0] > CONTAINED * np.minimum(area(box), area(kept))
        if not (contained | (iou(box, kept)[0] > max_iou)).any():
            keep.append(int(row))
    return np.array(sorted(keep, key=lambda row: -scores[row]), int)
