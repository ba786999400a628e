"""Head pictures that a user has, with the box of the head in each: material for composed scenes."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crystal_eyes.detector.runtime import GREY, HeadDetector
from crystal_eyes.detector.training.labels import LeftOut
from crystal_eyes.detector.training.scenes import Sprite
from crystal_eyes.errors import UserError
from crystal_eyes.images import SUFFIXES, PictureError, flatten, open_picture
from crystal_eyes.progress import track

SURE = 0.6  # confidence of a head's box that scenes can teach with
LABELLED_AT = 224  # px: one head fills the picture


class Head(NamedTuple):
    path: Path
    box: tuple[float, float, float, float]

    def sprite(self) -> Sprite:
        return Sprite(np.asarray(open_picture(self.path.read_bytes()).convert("RGBA")), self.box)


def read_heads(folder: Path, labeller: Path | None) -> tuple[list[Head], LeftOut]:
    """The head pictures below folder, sorted, and what was left out.

    labeller: a detector that says where in each picture the head is; one in which it isn't sure of exactly one head is left
    out. None: a picture is cut to its head, or shows nothing but the head where it is transparent.
    Raises UserError where no head is left.
    """
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix.lower() in SUFFIXES)
    find = _by_detector(HeadDetector(labeller, LABELLED_AT)) if labeller else _by_alpha
    heads, left_out = [], []
    for path in track(paths, len(paths), "find the head in each picture", "pictures"):
        try:
            box = find(open_picture(path.read_bytes()))
        except PictureError as error:
            left_out.append((path.relative_to(folder).as_posix(), str(error)))
            continue
        if box is None:
            left_out.append((path.relative_to(folder).as_posix(), "not exactly one head is seen in it"))
        else:
            heads.append(Head(path, box))
    if not heads:
        raise UserError(f"heads {folder} holds no usable picture of a head: give a folder of them")
    return heads, left_out


def _by_alpha(picture) -> tuple | None:
    return picture.getchannel("A").getbbox() if picture.mode == "RGBA" else (0, 0, *picture.size)


def _by_detector(detector: HeadDetector) -> Callable:
    def find(picture) -> tuple | None:
        shown = np.asarray(flatten(picture, (GREY,) * 3))
        margin = max(
            4, round(0.15 * max(picture.size))
        )  # a head that fills the picture is easier to see as one with room about it
        padded = np.pad(shown, ((margin, margin), (margin, margin), (0, 0)), constant_values=GREY)
        boxes, scores = detector.detect(padded, 0.3)
        if len(scores) != 1 or scores[0] < SURE:
            return None
        box = np.clip(boxes[0] - margin, 0, [*picture.size, *picture.size])
        return tuple(float(v) for v in box)

    return find
