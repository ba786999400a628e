"""Boxes: float32 [n, 4] of left, top, right, bottom in pixels of the picture."""

import numpy as np

FACE_TO_HEAD = (0.25, 0.55, 0.25, 0.1)  # how far a head reaches beyond its face: fractions of the face box's sides


def as_boxes(boxes) -> np.ndarray:
    """float32 [n, 4], also of an empty list."""
    return np.asarray(boxes, np.float32).reshape(-1, 4)


def area(boxes: np.ndarray) -> np.ndarray:
    """float32 [n]; 0 for a box that is turned inside out."""
    return np.clip(boxes[:, 2] - boxes[:, 0], 0, None) * np.clip(boxes[:, 3] - boxes[:, 1], 0, None)


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """float32 [n, m]: pixels that box i of a shares with box j of b."""
    corner = np.maximum(a[:, None, :2], b[None, :, :2])
    sides = np.clip(np.minimum(a[:, None, 2:], b[None, :, 2:]) - corner, 0, None)
    return sides[..., 0] * sides[..., 1]


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """float32 [n, m]: intersection over union; 0 where both are empty."""
    shared = overlap(a, b)
    union = area(a)[:, None] + area(b)[None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def clip(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """The parts of the boxes that lie inside a picture."""
    return np.clip(boxes, 0, np.array([width, height, width, height], np.float32))


def nms(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """int [k]: rows that stay, best first, when each removes those that overlap it with an IoU above threshold."""
    order, keep = np.argsort(-scores, kind="stable"), []
    while len(order):
        best, order = order[0], order[1:]
        keep.append(best)
        order = order[iou(boxes[best : best + 1], boxes[order])[0] <= threshold]
    return np.array(keep, int)


def face_to_head(faces: np.ndarray, margins: tuple[float, float, float, float], width: int, height: int) -> np.ndarray:
    """Boxes of faces to boxes of heads: grown by fractions of the face's own width and height, clipped to the picture.

    margins: left, top, right, bottom; negative ones shrink.
    """
    sides = np.tile(faces[:, 2:] - faces[:, :2], 2)
    return clip(faces + sides * np.array(margins, np.float32) * np.array([-1, -1, 1, 1], np.float32), width, height)
