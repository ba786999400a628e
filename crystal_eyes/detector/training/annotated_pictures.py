"""Pictures with boxes of their heads: their parts of the data, their loading, and backgrounds cut from them."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from crystal_eyes.boxes import area
from crystal_eyes.detector.training.canvas import BackgroundSource
from crystal_eyes.images import flatten, open_picture

MAX_SIDE = 1024  # pixels of a loaded picture's longer side: the network's input is never larger


@dataclass(frozen=True)
class AnnotatedPicture:
    """A picture file with the boxes of its heads: float32 [n, 4], pixels, inside the picture; n = 0: it shows no head."""

    path: Path
    file: str  # name relative to the labels
    size: tuple[int, int]  # width, height in pixels, upright
    boxes: np.ndarray


def split(pictures: Sequence[AnnotatedPicture]) -> dict[str, list[AnnotatedPicture]]:
    """A third for "test", a tenth of the rest for "val", the others for "train". The file names alone decide, so that a picture
    stays in its part when others are added. NAME_line and NAME_color show one drawing and stay together.
    """
    drawings: dict[str, list[AnnotatedPicture]] = {}
    for picture in pictures:
        drawings.setdefault(re.sub(r"_(line|colou?r)(\.\w+)$", r"\2", picture.file), []).append(picture)
    order = sorted(drawings, key=lambda name: hashlib.sha256(name.encode()).digest())
    test = len(order) // 3
    val = test + max(1, (len(order) - test) // 10) if len(order) > test + 1 else test
    parts = {"test": order[:test], "val": order[test:val], "train": order[val:]}
    return {part: [picture for name in names for picture in drawings[name]] for part, names in parts.items()}


def load(annotated: AnnotatedPicture) -> tuple[np.ndarray, np.ndarray]:
    """uint8 RGB [h, w, 3], scaled down to MAX_SIDE where it is larger, and its boxes float32 [n, 4]. Raises PictureError."""
    picture = np.asarray(flatten(open_picture(annotated.path.read_bytes())))
    scale = min(1.0, MAX_SIDE / max(picture.shape[:2]))
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return picture, annotated.boxes * scale


class LazyPictures(Sequence[tuple[np.ndarray, np.ndarray]]):
    """What `load` returns of each picture, loaded on access: all of them might not fit into memory."""

    def __init__(self, pictures: Sequence[AnnotatedPicture]):
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # no caller takes a slice
        return load(self.pictures[index])


def backgrounds(pictures: Sequence[tuple[np.ndarray, np.ndarray]]) -> BackgroundSource:
    """Draws a random part of a picture, at least half of its width and height, with the boxes of its heads.

    pictures: uint8 RGB [h, w, 3] and float32 [n, 4] each. A head that is mostly cut away is painted over.
    """

    def draw_background(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        picture, boxes = pictures[int(rng.integers(len(pictures)))]
        height, width = picture.shape[:2]
        w, h = (min(side, max(32, int(side * rng.uniform(0.5, 1)))) for side in (width, height))
        x, y = rng.integers(0, width - w + 1), rng.integers(0, height - h + 1)
        inside = np.clip(boxes - [x, y, x, y], 0, [w, h, w, h]).astype(np.float32)
        share = area(inside) / np.maximum(area(boxes), 1)
        cut = picture[y : y + h, x : x + w].copy()
        # a half head without a box would teach the detector to miss it
        for left, top, right, bottom in inside[(share > 0) & (share <= 0.5)].astype(int):
            cut[top:bottom, left:right] = rng.integers(0, 256, 3)
        return cut, inside[share > 0.5]

    return draw_background
