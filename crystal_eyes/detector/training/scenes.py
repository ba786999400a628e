"""Composed pictures to train on: scenes of pasted heads, crowds, pages of panels, pictures of one head, pictures of none."""

import math
from collections.abc import Iterator

import cv2
import numpy as np

from crystal_eyes.boxes import as_boxes, clip, intersection
from crystal_eyes.detector.training.backgrounds import synthetic_background
from crystal_eyes.detector.training.canvas import BackgroundSource, CutoutSource, Scene
from crystal_eyes.detector.training.effects import in_one_ink, line_art, screentone, worn
from crystal_eyes.detector.training.placing import crowd, objects, panels, rows_of_motifs, scatter, sheet, speech_bubbles

LONG_SIDE = 640  # pixels of a scene
SMALL_SIDES = 48, 400  # pixels of the longer side of a picture that one head fills


def compose_scenes(
    count: int,
    name: str,
    seed: list[int],
    draw_cutout: CutoutSource,
    draw_background: BackgroundSource | None = None,
    draw_head: CutoutSource | None = None,
    draw_object: CutoutSource | None = None,
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """`count` scenes with their names, each from its own random generator: the first ones don't depend on the count."""
    for number in range(count):
        rng = np.random.default_rng([*seed, number])
        yield f"{name}-{number:05d}", *compose(rng, draw_cutout, draw_background, draw_head, draw_object)


def compose(
    rng: np.random.Generator,
    draw_cutout: CutoutSource,
    draw_background: BackgroundSource | None = None,
    draw_head: CutoutSource | None = None,
    draw_object: CutoutSource | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """One picture: uint8 RGB [h, w, 3] and float32 [n, 4] boxes; about one in nine shows no head.

    draw_cutout: heads to paste. draw_background: labeled pictures; two of five scenes show one, in its size, one of ten shows
    several, small, and one of 20 pictures is a part of one without a head. draw_head: heads with what surrounds them (by
    default the cutouts), one of which fills the picture in one of seven. draw_object: transparent things that are no heads. The
    longer side of a scene without a labeled picture is LONG_SIDE pixels.
    """
    filled = rng.random()
    if filled < 0.14:
        picture, boxes = head_picture(rng, draw_head or draw_cutout)
        return _finished(picture, rng), boxes
    if draw_background is not None and filled < 0.19:
        part = headless_picture(rng, draw_background)
        if part is not None:
            return _finished(part, rng), as_boxes([])
    kind = rng.random()
    if draw_background is not None and kind < 0.5:
        if rng.random() < 0.2:
            scene = sheet(rng, draw_background, LONG_SIDE)
            return _finished(scene.picture, rng), scene.visible_boxes()
        picture, boxes = draw_background(rng)
        scene = Scene(picture.copy())
        scene.add_boxes(boxes)
        if rng.random() < 0.22:
            crowd(scene, rng, draw_cutout)
        else:
            scatter(scene, rng, draw_cutout, int(rng.integers(0, 5)), avoid_existing=True)
    else:
        long, short = LONG_SIDE, int(LONG_SIDE * rng.uniform(0.5, 1))
        scene = Scene(synthetic_background(rng, *((long, short) if rng.random() < 0.5 else (short, long))))
        if kind > 0.9:
            objects(scene, rng, draw_object)  # no head
            if rng.random() < 0.5:
                rows_of_motifs(scene, rng)
        elif kind > 0.76:
            panels(scene, rng, draw_cutout, draw_background)
        elif kind > 0.64:
            crowd(scene, rng, draw_cutout)
        else:
            scatter(scene, rng, draw_cutout, rng.choice([1, 1, 2, 2, 3, 4, 6, 9]))
    if rng.random() < 0.35:
        objects(scene, rng, draw_object)
    if rng.random() < 0.3:
        speech_bubbles(scene, rng)
    return _finished(scene.picture, rng), scene.visible_boxes()


def head_picture(rng: np.random.Generator, draw_head: CutoutSource) -> tuple[np.ndarray, np.ndarray]:
    """A picture of one head that fills it: uint8 RGB [h, w, 3] and its box float32 [1, 4].

    The longer side has SMALL_SIDES pixels. Each side of the picture lies up to a twelfth of the head's side inside its box, or
    up to half of it outside, where there is something to see.
    """
    cutout = draw_head(rng)
    height, width = cutout.picture.shape[:2]
    left, top, right, bottom = cutout.box
    side = max(right - left, bottom - top)
    opaque = bool((cutout.picture[..., 3] > 127).mean() > 0.98)
    room = rng.uniform(-0.08, 0.25 if rng.random() < 0.6 else 0.5, 4) * side
    x0, y0, x1, y1 = np.rint([left - room[0], top - room[1], right + room[2], bottom + room[3]]).astype(int)
    if opaque:
        x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    w, h = max(8, x1 - x0), max(8, y1 - y0)
    scene = Scene(synthetic_background(rng, int(w), int(h)))
    center = (left + right) / 2 - x0, (top + bottom) / 2 - y0
    mirrored = bool(rng.random() < 0.5)
    angle = 0.0 if opaque else float(rng.normal(0, 8))
    if opaque and mirrored:
        center = w - center[0], center[1]
    scene.paste(cutout, center, side, angle, mirrored)
    picture = _small(scene.picture, rng)
    height, width = picture.shape[:2]
    box = as_boxes(scene.boxes) * np.array([width / w, height / h] * 2, np.float32)
    return picture, clip(box, width, height)


def headless_picture(rng: np.random.Generator, draw_background: BackgroundSource) -> np.ndarray | None:
    """A part of a labeled picture that shows no head, such as clothes or scenery: uint8 RGB [h, w, 3].

    The longer side has SMALL_SIDES pixels. None where no part without a head was found.
    """
    for _ in range(40):
        picture, boxes = draw_background(rng)
        height, width = picture.shape[:2]
        side = min(height, width) * rng.uniform(0.15, 0.6)
        w, h = (int(side * stretch) for stretch in rng.uniform(0.8, 1, 2))
        x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
        if w >= 16 and h >= 16 and not intersection(as_boxes([x, y, x + w, y + h]), as_boxes(boxes)).any():
            return _small(picture[y : y + h, x : x + w], rng)
    return None


def _small(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture scaled to a longer side of SMALL_SIDES pixels."""
    height, width = picture.shape[:2]
    scale = math.exp(rng.uniform(*np.log(SMALL_SIDES))) / max(width, height)
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(picture, (max(8, round(width * scale)), max(8, round(height * scale))), interpolation=mode)


def _finished(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """uint8 RGB [h, w, 3]: as it is, or printed, drawn or saved in another way."""
    tone = rng.random()
    if tone < 0.13:
        picture = in_one_ink(picture, rng, colored=tone < 0.04)
    elif tone < 0.22:
        picture = line_art(picture, rng)
    elif tone < 0.26:
        picture = screentone(picture, rng)
    if rng.random() < 0.12:
        picture = worn(picture, rng)
    return np.ascontiguousarray(picture)
