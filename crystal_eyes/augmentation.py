"""Light augmentation of head pictures: what an encoder should not care about."""

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from crystal_eyes.pictures import WHITE, flatten

KERNELS = (Image.Resampling.BICUBIC, Image.Resampling.BILINEAR, Image.Resampling.LANCZOS, Image.Resampling.BOX)


def augment(picture: Image.Image, size: int, rng: np.random.Generator) -> np.ndarray:
    """A random view of an RGB or RGBA head as uint8 RGB [size, size, 3]: background, crop jitter, flip, colour, greyscale.

    Hue is kept: colour is part of who a character is. Resizing kernels vary, because those of the pictures' makers do.
    """
    background = WHITE if rng.random() < 0.5 else tuple(int(v) for v in rng.integers(0, 256, 3))
    picture = flatten(picture, background)
    width, height = picture.size
    # 75 to 100 % of each side, anywhere
    w, h = rng.uniform(0.75, 1.0, 2) * (width, height)
    left, top = rng.uniform(0, 1, 2) * (width - w, height - h)
    kernel = KERNELS[0] if rng.random() < 0.5 else KERNELS[rng.integers(1, len(KERNELS))]
    picture = picture.resize((size, size), kernel, box=(left, top, left + w, top + h))
    if rng.random() < 0.5:
        picture = ImageOps.mirror(picture)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = enhance(picture).enhance(rng.uniform(0.7, 1.3))
    if rng.random() < 0.1:
        picture = ImageOps.grayscale(picture).convert("RGB")
    return np.array(picture)
