"""Statistics of a picture: a perceptual hash, and whether it has color."""

import numpy as np
from PIL import Image

HASH_SIDE = 16  # 16 x 16 comparisons: 256 bits


def difference_hash(picture: Image.Image) -> np.ndarray:
    """uint64 [4]: 256 bits, one per cell of a 17 x 16 gray thumbnail: brighter than its left neighbor (dHash, Krawetz 2013)."""
    # imagehash.dhash gives the same bits (tested), but would bring SciPy and PyWavelets into serving for these lines
    small = np.asarray(picture.convert("L").resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.LANCZOS), dtype=np.int16)
    return np.packbits(small[:, 1:] > small[:, :-1]).view(np.uint64)


def hashes_of_sides(picture: Image.Image) -> np.ndarray:
    """uint64 [2, 4]: the difference hashes of a picture and of its mirror image."""
    return np.stack([difference_hash(one) for one in (picture, picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT))])


def is_monochrome(picture: Image.Image) -> bool:
    """Whether an RGB picture is line art or grayscale: at most 2% of its thumbnail's pixels have a visible hue."""
    small = np.asarray(picture.resize((32, 32), Image.Resampling.BOX), dtype=np.int16)
    return bool(np.quantile(small.max(axis=2) - small.min(axis=2), 0.98) < 16)
