"""Sketches made from coloured heads: what a coloured character looks like in grey and in lines."""

from collections.abc import Callable, Iterable

import numpy as np
from PIL import Image, ImageChops, ImageFilter, ImageOps

from crystal_eyes.encoder.runtime import OnnxEncoder
from crystal_eyes.images import fit

Maker = Callable[[Image.Image], Image.Image]
BLUR = 1.2  # px at a side of 128: about the width of a drawn line


def grey(picture: Image.Image) -> Image.Image:
    """The picture's luminance, RGB."""
    return picture.convert("L").convert("RGB")


def lines(picture: Image.Image) -> Image.Image:
    """Dark lines on white, RGB: where the picture is darker than its surroundings, stretched to full contrast."""
    luminance = picture.convert("L")
    around = luminance.filter(ImageFilter.GaussianBlur(3 * BLUR * max(picture.size) / 128))
    darker = np.asarray(around, np.float32) - np.asarray(luminance.filter(ImageFilter.GaussianBlur(0.4)), np.float32)
    ink = np.clip(darker * 6 - 24, 0, 255).astype(np.uint8)
    return ImageOps.invert(Image.fromarray(ink)).convert("RGB")


def screentone(picture: Image.Image) -> Image.Image:
    """Lines, and black dots on white, RGB: larger where the picture is darker, about 30 across, but 4.5 px apart at least."""
    luminance = np.asarray(picture.convert("L"), np.float32)
    y, x = (np.arange(n, dtype=np.float32) * (2 * np.pi / max(4.5, max(picture.size) / 30)) for n in luminance.shape)
    grid = 128 + 64 * (np.sin(x + y[:, None]) + np.sin(x - y[:, None]))
    dots = Image.fromarray(np.where(luminance > grid, 255, 0).astype(np.uint8)).convert("RGB")
    return ImageChops.darker(dots, lines(picture))


def embed_sketches(
    encoder: OnnxEncoder, pictures: Iterable[Image.Image], makers: tuple[Maker, ...] = (grey, lines), batch: int = 32
) -> np.ndarray:
    """float32 [n, d]: embeddings of pictures (RGB), made into sketches by each maker in turn."""
    out, waiting = [np.zeros((0, encoder.embedding_size), np.float32)], []
    for number, picture in enumerate(pictures):
        waiting.append(fit(makers[number % len(makers)](picture), encoder.image_size))
        if len(waiting) == batch:
            out.append(encoder(np.stack(waiting)))
            waiting = []
    return np.concatenate([*out, encoder(np.stack(waiting))] if waiting else out)
