"""Geometry of boxes. Boxes are float32 [n, 4]: left, top, right, bottom in pixels of the picture."""

import numpy as np
from numpy.typing import ArrayLike

# how far a head reaches beyond its face on the left, top, right and bottom, in widths and heights of the face box
FACE_MARGINS = (0.25, 0.55, 0.25, 0.1)


def as_boxes(boxes: ArrayLike) -> np.ndarray:
    """float32 [n, 4], also of an empty list."""
    return np.asarray(boxes, np.float32).reshape(-1, 4)


def area(boxes: np.ndarray) -> np.ndarray:
    """float32 [n]: areas in square pixels; 0 for a box whose right or bottom lies before its left or top."""
    return np.clip(boxes[:, 2] - boxes[:, 0], 0, None) * np.clip(boxes[:, 3] - boxes[:, 1], 0, None)


def intersection(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """float32 [n, m]: area that box i of a shares with box j of b, in square pixels."""
    corner = np.maximum(a[:, None, :2], b[None, :, :2])
    sides = np.clip(np.minimum(a[:, None, 2:], b[None, :, 2:]) - corner, 0, None)
    return sides[..., 0] * sides[..., 1]


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """float32 [n, m]: intersection over union; 0 where both boxes are empty."""
    shared = intersection(a, b)
    union = area(a)[:, None] + area(b)[None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def clip(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """float32 [n, 4]: the boxes cut off at the borders of a picture of that size in pixels."""
    return np.clip(boxes, 0, np.array([width, height, width, height], np.float32))


def nms(boxes: np.ndarray, scores: np.ndarray, max_iou: float) -> np.ndarray:
    """Greedy non-maximum suppression: int [k], the rows that are kept, by falling score.

    scores: float [n]. A box is dropped where its IoU with a kept one is above max_iou; of equal scores the first row wins.
    """
    order, keep = np.argsort(-scores, kind="stable"), []
    while len(order):
        best, order = order[0], order[1:]
        keep.append(best)
        order = order[iou(boxes[best : best + 1], boxes[order])[0] <= max_iou]
    return np.array(keep, int)


def face_to_head(faces: np.ndarray, margins: tuple[float, float, float, float], width: int, height: int) -> np.ndarray:
    """float32 [n, 4]: boxes of faces grown to boxes of heads, clipped to a picture of that size in pixels.

    margins: left, top, right, bottom in widths and heights of the face box (FACE_MARGINS by default); negative ones shrink.
    """
    sides = np.tile(faces[:, 2:] - faces[:, :2], 2)
    return clip(faces + sides * np.array(margins, np.float32) * np.array([-1, -1, 1, 1], np.float32), width, height)
