"""THE rule by which a head is cut from a picture, for training and serving alike."""

import numpy as np

MARGIN = 0.1  # of the longer side of the head's box, on each side


def crop_head(picture: np.ndarray, box: np.ndarray) -> np.ndarray:
    """uint8 [side, side, 3]: a square about the middle of the box, its side 1.2 times the box's longer one.

    picture: uint8 RGB [h, w, 3]; box: left, top, right, bottom in pixels. Beyond the picture's border its edge is repeated.
    """
    left, top, right, bottom = (float(v) for v in box)
    side = max(1, round(max(right - left, bottom - top) * (1 + 2 * MARGIN)))
    x, y = round((left + right - side) / 2), round((top + bottom - side) / 2)
    height, width = picture.shape[:2]
    part = picture[max(0, y) : max(0, y + side), max(0, x) : max(0, x + side)]
    rows, columns = (max(0, -y), max(0, y + side - height)), (max(0, -x), max(0, x + side - width))
    return np.pad(part, (rows, columns, (0, 0)), mode="edge")
