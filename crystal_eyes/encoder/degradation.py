"""Degraded heads: small, compressed, in colored light, tilted, partly covered, badly framed; as heads in pictures often are.

Nothing is trained on them: from their embeddings it is learned how those of a character vary (classifiers/expected_points.py).
"""

import colorsys
import io

import numpy as np
from PIL import Image, ImageOps


def degraded(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """An RGB head, degraded in one of these ways."""
    return KINDS[rng.integers(len(KINDS))](picture, rng)


def small(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """24 to 64 pixels on its shorter side, if it has more."""
    return _shrunk(picture, 24 * (64 / 24) ** rng.random())


def compressed(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A JPEG file of 48 to 96 pixels on its shorter side, with visible artifacts."""
    stream = io.BytesIO()
    _shrunk(picture, rng.uniform(48, 96)).save(stream, "JPEG", quality=int(rng.integers(20, 50)))
    return Image.open(stream).convert("RGB")


def lit(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """In colored light from one side."""
    color = np.array(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.4, 0.8), 1))
    y, x = np.mgrid[0 : picture.height, 0 : picture.width]
    direction = rng.uniform(0, 2 * np.pi)
    along = np.cos(direction) * x / picture.width + np.sin(direction) * y / picture.height
    share = (0.5 + 0.5 * (along - along.min()) / max(float(np.ptp(along)), 1e-9))[..., None]
    shown = np.asarray(picture, float) * (1 - share + share * color) * rng.uniform(0.7, 1.1)
    return Image.fromarray(shown.clip(0, 255).astype(np.uint8))


def tilted(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """By 15 to 35 degrees."""
    angle = rng.choice((-1, 1)) * rng.uniform(15, 35)
    return picture.rotate(angle, Image.Resampling.BICUBIC, fillcolor=_mean_color(picture))


def covered(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Something of one color in front of the lower part, or of one of the sides."""
    w, h = picture.size
    part = rng.uniform(0.3, 0.5)
    left, top, right = round(w * part), round(h * (1 - part)), round(w * (1 - part))
    box = ((0, top, w, h), (0, top, w, h), (0, 0, left, h), (right, 0, w, h))[rng.integers(4)]
    picture = picture.copy()
    picture.paste(tuple(rng.integers(0, 256, 3).tolist()), box)
    return picture


def framed(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Each side cut off by up to an eighth, or as much too far away."""
    w, h = picture.size
    borders = [round(share * side) for share, side in zip(rng.uniform(-1 / 8, 1 / 8, 4), (w, h, w, h))]
    left, top, right, bottom = (max(0, one) for one in borders)
    wider = ImageOps.expand(picture, (left, top, right, bottom), _mean_color(picture))
    left, top, right, bottom = (max(0, -one) for one in borders)
    return wider.crop((left, top, wider.width - right, wider.height - bottom))


KINDS = (small, compressed, lit, tilted, covered, framed)


def _shrunk(picture: Image.Image, side: float) -> Image.Image:
    factor = min(1, side / min(picture.size))
    return picture.resize((max(1, round(picture.width * factor)), max(1, round(picture.height * factor))), Image.Resampling.BOX)


def _mean_color(picture: Image.Image) -> tuple[int, ...]:
    return tuple(np.asarray(picture).reshape(-1, 3).mean(axis=0).astype(int).tolist())
