"""Augmentation of heads: the variation that an encoder should ignore."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from crystal_eyes.encoder.sketches import gray, lines, screentone
from crystal_eyes.images import WHITE, flatten

KERNELS = (Image.Resampling.BICUBIC, Image.Resampling.BILINEAR, Image.Resampling.LANCZOS, Image.Resampling.BOX)


def augment(picture: Image.Image, size: int, rng: np.random.Generator, views: str = "light") -> np.ndarray:
    """A random view of an RGB or RGBA head as uint8 RGB [size, size, 3].

    light: background, crop jitter, flip, color, sometimes gray. serving: also what people upload: line art, screentone, crops
    that are too wide or tilted, colored light, JPEG artifacts, low resolution, occlusion.
    Hue is kept except for a little colored light: color is part of a character's identity. Resizing kernels vary because
    those of the sources do.
    """
    return np.array(framed_and_augmented(picture, size, rng, views)[1])


def framed_and_augmented(
    picture: Image.Image, size: int, rng: np.random.Generator, views: str = "light"
) -> tuple[Image.Image, Image.Image]:
    """The head as cropped and rotated, in its own colors, and the view that augment makes of it; RGB, size x size."""
    background = WHITE if rng.random() < 0.5 else _random_color(rng)
    frame, show = VIEWS[views]
    framed = frame(flatten(picture, background), size, background, rng)
    return framed, show(framed, size, rng)


def _framed(picture: Image.Image, size: int, background: tuple[int, int, int], rng: np.random.Generator) -> Image.Image:
    return _mirrored(_cropped(picture, size, rng), rng)


def _light(picture: Image.Image, size: int, rng: np.random.Generator) -> Image.Image:
    picture = _enhanced(picture, rng)
    return gray(picture) if rng.random() < 0.1 else picture


def _framed_loosely(picture: Image.Image, size: int, background: tuple[int, int, int], rng: np.random.Generator) -> Image.Image:
    if rng.random() < 0.3:  # a crop up to a fifth too wide
        width, height = picture.size
        left, top, right, bottom = (int(v) for v in rng.uniform(0, 0.2, 4) * (width, height, width, height))
        picture = ImageOps.expand(picture, (left, top, right, bottom), background)
    picture = _framed(picture, size, background, rng)
    if rng.random() < 0.3:
        picture = picture.rotate(rng.uniform(-20, 20), Image.Resampling.BILINEAR, fillcolor=background)
    return picture


def _serving(picture: Image.Image, size: int, rng: np.random.Generator) -> Image.Image:
    if rng.random() < 0.2:  # occlusion
        w, h = (int(v) for v in rng.uniform(0.15, 0.4, 2) * size)
        left, top = int(rng.uniform(0, size - w)), int(rng.uniform(0, size - h))
        picture = picture.copy()
        picture.paste(_random_color(rng), (left, top, left + w, top + h))
    kind = rng.random()
    if kind < 0.2:
        sketch = (gray, lines, screentone)[rng.choice(3, p=(0.4, 0.4, 0.2))]
        picture = sketch(picture)
    else:
        picture = _enhanced(picture, rng)
        if kind < 0.4:  # colored light: a gain for each channel
            gains = rng.uniform(0.75, 1.25, 3)
            tables = [np.clip(np.arange(256) * gain, 0, 255).astype(int).tolist() for gain in gains]
            picture = picture.point(sum(tables, []))
    if rng.random() < 0.15:  # low resolution
        side = int(size * rng.uniform(0.4, 0.8))
        picture = picture.resize((side, side), _kernel(rng)).resize((size, size), Image.Resampling.BICUBIC)
    if rng.random() < 0.2:
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=int(rng.integers(30, 90)))
        picture = Image.open(stream)
    return picture


VIEWS: dict[str, tuple[Callable[..., Image.Image], Callable[..., Image.Image]]] = {
    "light": (_framed, _light),
    "serving": (_framed_loosely, _serving),
}


def _random_color(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return red, green, blue


def _cropped(picture: Image.Image, size: int, rng: np.random.Generator) -> Image.Image:
    """A random crop of 75 to 100 % of each side, resized to a square."""
    width, height = picture.size
    w, h = rng.uniform(0.75, 1.0, 2) * (width, height)
    left, top = rng.uniform(0, 1, 2) * (width - w, height - h)
    return picture.resize((size, size), _kernel(rng), box=(left, top, left + w, top + h))


def _kernel(rng: np.random.Generator) -> Image.Resampling:
    return KERNELS[0] if rng.random() < 0.5 else KERNELS[rng.integers(1, len(KERNELS))]


def _mirrored(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageOps.mirror(picture) if rng.random() < 0.5 else picture


def _enhanced(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Brightness, contrast and saturation, each changed by up to 30 %."""
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = enhance(picture).enhance(rng.uniform(0.7, 1.3))
    return picture
