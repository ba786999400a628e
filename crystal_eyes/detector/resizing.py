"""Bilinear resizing to the same pixels as OpenCV, which training uses; in numpy, so that serving doesn't need OpenCV."""

import numpy as np


def resize(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """uint8 [height, width, 3] of a uint8 [h, w, 3] picture, without antialiasing.

    Equal to cv2.resize where it shrinks, within one level where it enlarges. Weights have 11 bits, as in OpenCV: any other
    rounding makes the picture half a level darker and the detector less confident.
    """
    left, right, weight_left, weight_right = _taps(picture.shape[1], width)
    above, below, weight_above, weight_below = _taps(picture.shape[0], height)
    rows, position = np.unique(np.concatenate([above, below]), return_inverse=True)
    needed = picture[rows]  # only these rows are resized horizontally
    across = np.take(needed, left, axis=1).astype(np.int32) * weight_left[None, :, None]
    across += np.take(needed, right, axis=1).astype(np.int32) * weight_right[None, :, None]
    across >>= 4
    out = (across[position[:height]] * weight_above[:, None, None]) >> 16
    out += (across[position[height:]] * weight_below[:, None, None]) >> 16
    return ((out + 2) >> 2).astype(np.uint8)


def _taps(source: int, target: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For each target pixel along one side: its two source pixels, and their weights (int32, sum 2048)."""
    center = ((np.arange(target) + 0.5) * (source / target) - 0.5).astype(np.float32)
    first = np.floor(center).astype(int)
    fraction = center - first
    fraction[(first < 0) | (first >= source - 1)] = 0
    first = first.clip(0, source - 1)
    weight_first, weight_second = (np.rint(share * 2048).astype(np.int32) for share in (1 - fraction, fraction))
    return first, np.minimum(first + 1, source - 1), weight_first, weight_second
