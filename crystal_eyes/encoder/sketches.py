"""Synthetic sketches: a colored head in gray, as line art, or with screentone."""

import numpy as np
from PIL import Image, ImageChops, ImageFilter, ImageOps

BLUR = 1.2  # pixels for a side of 128: about the width of a drawn line


def gray(picture: Image.Image) -> Image.Image:
    """The picture's luminance, RGB."""
    return picture.convert("L").convert("RGB")


def lines(picture: Image.Image) -> Image.Image:
    """Dark lines on white, RGB: pixels darker than their surroundings, stretched to full contrast."""
    luminance = picture.convert("L")
    around = luminance.filter(ImageFilter.GaussianBlur(3 * BLUR * max(picture.size) / 128))
    darker = np.asarray(around, np.float32) - np.asarray(luminance.filter(ImageFilter.GaussianBlur(0.4)), np.float32)
    ink = np.clip(darker * 6 - 24, 0, 255).astype(np.uint8)
    return ImageOps.invert(Image.fromarray(ink)).convert("RGB")


def screentone(picture: Image.Image) -> Image.Image:
    """Line art with a screentone, RGB: about 30 dots across (at least 4.5 px apart), larger where the picture is darker."""
    luminance = np.asarray(picture.convert("L"), np.float32)
    y, x = (np.arange(n, dtype=np.float32) * (2 * np.pi / max(4.5, max(picture.size) / 30)) for n in luminance.shape)
    grid = 128 + 64 * (np.sin(x + y[:, None]) + np.sin(x - y[:, None]))
    dots = Image.fromarray(np.where(luminance > grid, 255, 0).astype(np.uint8)).convert("RGB")
    return ImageChops.darker(dots, lines(picture))
