"""Which of the heads found in a labeled illustration are cut out, and what the cut heads are called."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

LEAVE_OUT, ALL = "leave-out", "all"  # what happens to an illustration with several heads; otherwise the largest is cut
LABELS = ["character", "series", "set", "split", "original_name"]
# not left, top, right, bottom: a head's file is the head alone, and these are not coordinates in it
COORDINATES = ("illustration_left", "illustration_top", "illustration_right", "illustration_bottom")


def chosen(boxes: np.ndarray, several: str, ambiguous: bool) -> tuple[np.ndarray, str]:
    """float32 [n, 4]: the boxes to cut, of those found; or none, and why.

    several: LEAVE_OUT, ALL or "largest". ambiguous: whether the illustration is labeled with several characters.
    """
    if ambiguous:
        return boxes[:0], "labeled with several characters, so heads can't be matched to characters"
    if not len(boxes):
        return boxes, "no head found"
    if len(boxes) > 1 and several == LEAVE_OUT:
        return boxes[:0], f"several heads found for one label ({len(boxes)})"
    return (boxes if several == ALL else largest(boxes)), ""


def largest(boxes: np.ndarray) -> np.ndarray:
    """float32 [1, 4]: the box with the largest area, of float32 [n, 4] with n > 0."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return boxes[[sides.prod(axis=1).argmax()]]


def head_row(number: int, place: int, illustration: Mapping[Hashable, Any], box: np.ndarray) -> dict[str, Any]:
    """The row of a head: illustration `number` of the dataset, head `place` of it."""
    return {
        "file": f"{number:06d}-{place}.png",
        "illustration": illustration["file"],
        "artwork": illustration["artwork"] or illustration["file"],
        **{label: illustration[label] for label in LABELS},
        **dict(zip(COORDINATES, np.round(box, 1))),
    }
