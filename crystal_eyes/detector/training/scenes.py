"""Composed pictures to train on: scenes of pasted heads, crowds, pages of panels, pictures of one head, pictures of none."""

import math
from collections.abc import Iterator

import cv2
import numpy as np

from crystal_eyes.boxes import as_boxes, clip
from crystal_eyes.detector.training.backgrounds import synthetic_background
from crystal_eyes.detector.training.canvas import BackgroundSource, CutoutSource, Scene
from crystal_eyes.detector.training.effects import in_one_ink, line_art, screentone, worn
from crystal_eyes.detector.training.placing import crowd, objects, panels, rows_of_motifs, scatter, sheet, speech_bubbles

LONG_SIDE = 640  # pixels of a scene


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
    """One picture: uint8 RGB [h, w, 3] and float32 [n, 4] boxes; about one in 15 shows no head.

    draw_cutout: heads to paste. draw_background: labeled pictures; two of five scenes show one, in its size, one of ten shows
    several, small. draw_head: heads with what surrounds them (by default the cutouts), one of which fills the picture in one of
    seven. draw_object: transparent things that are no heads. The longer side of a scene without a labeled picture is LONG_SIDE
    pixels.
    """
    if rng.random() < 0.14:
        picture, boxes = head_picture(rng, draw_head or draw_cutout)
        return _finished(picture, rng), boxes
    kind = rng.random()
    if draw_background is not None and kind < 0.5:
        if rng.random() < 0.2:
            scene = sheet(rng, draw_background, LONG_SIDE)
            return _finished(scene.picture, rng), scene.visible_boxes()
        picture, boxes = draw_background(rng)
        scene = Scene(picture.copy())
        scene.add_boxes(boxes)
        if rng.random() < 0.15:
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
        elif kind > 0.66:
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

    The longer side has 48 to 400 pixels. Each side of the picture lies up to a twelfth of the head's side inside its box, or up
    to half of it outside, where there is something to see.
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
    scale = math.exp(rng.uniform(math.log(48), math.log(400))) / max(w, h)
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = cv2.resize(scene.picture, (max(8, round(w * scale)), max(8, round(h * scale))), interpolation=mode)
    height, width = picture.shape[:2]
    box = as_boxes(scene.boxes) * np.array([width / w, height / h] * 2, np.float32)
    return picture, clip(box, width, height)


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
