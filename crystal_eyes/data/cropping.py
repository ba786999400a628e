"""The one rule by which a head is cropped from a picture, both in training data and in serving."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from crystal_eyes.boxes import FACE_MARGINS, as_boxes, clip, face_to_head
from crystal_eyes.data.storage import read_bytes
from crystal_eyes.errors import said
from crystal_eyes.images import PictureError, flatten, open_picture

MARGIN = 0.1  # of the longer side of the head's box, on each side
MIN_SIDE = 2  # pixels of a box inside its picture
UNITS = ("pixels", "fraction")  # fraction: of the picture's width and height
KINDS = ("head", "face")  # of a face, the head is estimated


class LabeledBox(NamedTuple):
    """Where a dataset says that a head or a face is, and how it says so."""

    left: float
    top: float
    right: float
    bottom: float
    unit: str = "pixels"  # one of UNITS
    kind: str = "head"  # one of KINDS

    def head(self, width: int, height: int) -> np.ndarray:
        """float32 [4]: the head's left, top, right, bottom in pixels, inside a picture of that width and height.

        Raises PictureError where less than MIN_SIDE pixels of the box lie inside the picture.
        """
        box = as_boxes([self[:4]])
        if self.unit == "fraction":
            box = box * np.array([width, height, width, height], np.float32)
        inside = clip(box, width, height)
        if (inside[0, 2:] - inside[0, :2] < MIN_SIDE).any():
            raise PictureError(f"box {self[:4]} is empty or lies outside the {width} x {height} picture")
        return (face_to_head(box, FACE_MARGINS, width, height) if self.kind == "face" else inside)[0]


def crop_head(picture: np.ndarray, box: np.ndarray) -> np.ndarray:
    """uint8 [side, side, 3]: a square around the center of the box, its side 1.2 times the box's longer one.

    picture: uint8 RGB [h, w, 3]; box: left, top, right, bottom in pixels. Beyond the picture's border its edge is repeated.
    """
    left, top, right, bottom = (float(v) for v in box)
    side = max(1, round(max(right - left, bottom - top) * (1 + 2 * MARGIN)))
    x, y = round((left + right - side) / 2), round((top + bottom - side) / 2)
    height, width = picture.shape[:2]
    part = picture[max(0, y) : max(0, y + side), max(0, x) : max(0, x + side)]
    rows, columns = (max(0, -y), max(0, y + side - height)), (max(0, -x), max(0, x + side - width))
    return np.pad(part, (rows, columns, (0, 0)), mode="edge")


def read_picture(path: str | Path) -> Image.Image:
    """The picture in a file, as open_picture gives it. path: as storage.read_bytes takes it.

    Raises PictureError, also where the file can't be read; StorageError for storage that can't.
    """
    try:
        data = read_bytes(path)
    except OSError as error:
        raise PictureError(f"can't be read: {said(error)}") from None
    return open_picture(data)


def head_bytes(path: str | Path, box: LabeledBox | None) -> bytes:
    """One encoded head picture: the file as it is where box is None, else the head cut from it, as PNG.

    path: as storage.read_bytes takes it. Raises PictureError for a picture or a box that can't be used, OSError for a file that
    can't be read, StorageError for storage that can't.
    """
    data = read_bytes(path)
    if box is None:
        return data
    picture = flatten(open_picture(data))
    head = Image.fromarray(crop_head(np.asarray(picture), box.head(picture.width, picture.height)))
    out = io.BytesIO()
    head.save(out, "PNG")
    return out.getvalue()
