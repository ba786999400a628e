"""What scenes are made of: scattered heads, crowds, panels of a page, speech bubbles, and things that are no heads."""

import math

import cv2
import numpy as np

from crystal_eyes.boxes import area, as_boxes, clip, intersection
from crystal_eyes.detector.training.backgrounds import pattern, synthetic_background
from crystal_eyes.detector.training.canvas import BackgroundSource, Cutout, CutoutSource, Scene
from crystal_eyes.detector.training.effects import with_soft_edge
from crystal_eyes.detector.training.motifs import motif


def scatter(
    scene: Scene,
    rng: np.random.Generator,
    draw_cutout: CutoutSource,
    heads: int,
    avoid_existing: bool = False,
    smallest: float = 0.05,
) -> None:
    """Paste heads of many sizes, the small ones first, as if they stood behind.

    avoid_existing: not over heads that the scene already has. smallest: least size of a head, as a share of the shorter side.
    """
    height, width = scene.owner.shape
    existing = as_boxes(scene.boxes)
    largest = 0.85 if heads == 1 else 0.9 / math.sqrt(max(heads, 1))
    for side in sorted(min(width, height) * np.exp(rng.uniform(math.log(smallest), math.log(largest), heads))):
        center = rng.uniform(0, width), rng.uniform(0, height)
        reach = 0.5 * side
        box = as_boxes([center[0] - reach, center[1] - reach, center[0] + reach, center[1] + reach])
        if avoid_existing and len(existing) and intersection(box, existing).sum() > 0.2 * area(box).sum():
            continue
        kind = rng.random()
        angle = rng.normal(0, 12) if kind < 0.85 else rng.uniform(-90, 90) if kind < 0.97 else rng.uniform(-180, 180)
        if rng.random() < 0.25:
            _body(scene, rng, center, side)
        scene.paste(draw_cutout(rng), center, side, angle, rng.random() < 0.5)


def crowd(scene: Scene, rng: np.random.Generator, draw_cutout: CutoutSource) -> None:
    """Rows of small figures, the nearer ones larger and in front of the others."""
    height, width = scene.owner.shape
    side, growth = max(width, height) * rng.uniform(0.018, 0.07), rng.uniform(1.0, 1.35)
    spread, y = rng.uniform(1.0, 2.2), height * rng.uniform(0.05, 0.5)
    with_body = rng.random() < 0.7
    left = 40  # figures
    while y < height + side and left > 0:
        x = rng.uniform(0, side * spread)
        while x < width and left > 0:
            center = x + rng.normal(0, 0.2) * side, y + rng.normal(0, 0.25) * side
            size = side * rng.uniform(0.85, 1.15)
            if with_body:
                _body(scene, rng, center, size)
            scene.paste(draw_cutout(rng), center, size, rng.normal(0, 10), rng.random() < 0.5)
            x += side * spread * rng.uniform(0.7, 1.6)
            left -= 1
        y += side * spread * rng.uniform(0.9, 2.2)
        side *= growth


def panels(scene: Scene, rng: np.random.Generator, draw_cutout: CutoutSource, draw_background: BackgroundSource | None) -> None:
    """A page of panels, most with a head or two, on a white or black page; some show parts of labeled pictures."""
    height, width = scene.owner.shape
    columns, rows = rng.integers(1, 4), rng.integers(1, 5)
    gap, page = int(rng.integers(2, 12)), int(rng.choice([0, 255, 255]))
    scene.picture[...] = page
    for row in range(rows):
        for column in range(columns):
            x0, x1 = (int(width * c / columns) + gap for c in (column, column + 1))
            y0, y1 = (int(height * r / rows) + gap for r in (row, row + 1))
            x1, y1 = x1 - gap, y1 - gap
            if draw_background is not None and rng.random() < 0.6:
                panel = _labeled_panel(rng, x1 - x0, y1 - y0, draw_background)
            else:
                panel = Scene(synthetic_background(rng, x1 - x0, y1 - y0))
                scatter(panel, rng, draw_cutout, rng.choice([0, 1, 1, 1, 2]), smallest=0.3)
            first = len(scene.boxes)
            part = slice(y0, min(y1, height)), slice(x0, min(x1, width))
            shape = scene.owner[part].shape
            scene.picture[part] = panel.picture[: shape[0], : shape[1]]
            own = panel.owner[: shape[0], : shape[1]]
            scene.owner[part] = np.where(own > 0, own + first, 0)
            inside = clip(as_boxes(panel.boxes), shape[1], shape[0])
            scene.boxes += list(inside + np.array([x0, y0, x0, y0], np.float32))
            scene.areas += panel.areas
            cv2.rectangle(scene.picture, (x0, y0), (x1, y1), [255.0 * (page == 0)] * 3, 1 + gap // 4)


def _labeled_panel(rng: np.random.Generator, width: int, height: int, draw_background: BackgroundSource) -> Scene:
    """A part of a labeled picture that fills the panel; what does not fit is cut off."""
    picture, boxes = draw_background(rng)
    scale = max(width / picture.shape[1], height / picture.shape[0])
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    x, y = (int(rng.integers(0, max(0, a - b) + 1)) for a, b in ((picture.shape[1], width), (picture.shape[0], height)))
    picture = picture.copy()
    whole = Scene(picture)
    whole.add_boxes(boxes * np.float32(scale))
    for left, top, right, bottom in as_boxes(whole.boxes):  # as in backgrounds: a part of a head without a box is painted over
        inside = clip(as_boxes([left - x, top - y, right - x, bottom - y]), width, height)
        if 0 < area(inside)[0] <= 0.5 * (right - left) * (bottom - top):
            picture[int(top) : int(bottom), int(left) : int(right)] = rng.integers(0, 256, 3)
    panel = Scene(cv2.copyMakeBorder(picture, 0, 1, 0, 1, cv2.BORDER_REPLICATE)[y : y + height, x : x + width].copy())
    panel.owner = np.pad(whole.owner, ((0, 1), (0, 1)))[y : y + height, x : x + width].copy()
    panel.boxes = list(as_boxes(whole.boxes) - np.array([x, y, x, y], np.float32))
    panel.areas = whole.areas
    return panel


def objects(scene: Scene, rng: np.random.Generator, draw_object: CutoutSource | None) -> None:
    """Paste things that are no heads, with the edges that heads have, so that an edge alone says nothing."""
    height, width = scene.owner.shape
    for _ in range(rng.integers(1, 7)):
        if draw_object is not None and rng.random() < 0.75:
            thing = draw_object(rng)
        elif rng.random() < 0.5:
            drawn = motif(rng)
            thing = Cutout(drawn, (0, 0, drawn.shape[1], drawn.shape[0]))
        else:
            w, h = (int(side) for side in rng.integers(32, 160, 2))
            drawn = pattern(rng, w, h) if rng.random() < 0.6 else synthetic_background(rng, w, h)
            thing = Cutout(np.dstack([drawn, np.full((h, w), 255, np.uint8)]), (0, 0, w, h))
            if rng.random() < 0.7:
                thing = with_soft_edge(Cutout(thing.picture, (w / 8, h / 8, w * 7 / 8, h * 7 / 8)), rng)
        side = min(width, height) * math.exp(rng.uniform(math.log(0.05), math.log(0.5)))
        center = rng.uniform(0, width), rng.uniform(0, height)
        scene.paste(thing, center, side, rng.normal(0, 20), rng.random() < 0.5, is_head=False)


def rows_of_motifs(scene: Scene, rng: np.random.Generator) -> None:
    """Rows of one drawn thing that is no head, as on wallpaper or along a border."""
    height, width = scene.owner.shape
    drawn = motif(rng)
    thing = Cutout(drawn, (0, 0, drawn.shape[1], drawn.shape[0]))
    side = min(width, height) * math.exp(rng.uniform(math.log(0.05), math.log(0.3)))
    step = side * rng.uniform(1.1, 2.5)
    for y in np.arange(side / 2, height, step * rng.uniform(1, 4)):
        for x in np.arange(side / 2, width, step):
            scene.paste(thing, (float(x), float(y)), side, rng.normal(0, 10), False, is_head=False)


def sheet(rng: np.random.Generator, draw_background: BackgroundSource, long: int) -> Scene:
    """Labeled pictures side by side, each so small that its heads are; the longer side has `long` pixels."""
    columns, rows = (int(n) for n in rng.integers(2, 5, 2))
    shape = (long, int(long * rng.uniform(0.55, 1)))
    width, height = shape if rng.random() < 0.7 else shape[::-1]
    gray = int(rng.choice(np.array([0, 255, rng.integers(0, 256)])))
    scene = Scene(np.full((int(height), int(width), 3), gray, np.uint8))
    for row in range(rows):
        for column in range(columns):
            picture, boxes = draw_background(rng)
            w, h = width // columns, height // rows
            scale = min(w / picture.shape[1], h / picture.shape[0])
            size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
            small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)[:h, :w]
            x, y = column * w + (w - small.shape[1]) // 2, row * h + (h - small.shape[0]) // 2
            scene.picture[y : y + small.shape[0], x : x + small.shape[1]] = small
            scene.add_boxes(boxes * np.float32(scale) + np.array([x, y, x, y], np.float32))
    return scene


def speech_bubbles(scene: Scene, rng: np.random.Generator) -> None:
    """Ovals, some with lines like text: they hide what is below, and are not heads."""
    height, width = scene.owner.shape
    for _ in range(rng.integers(1, 4)):
        center = int(rng.uniform(0, width)), int(rng.uniform(0, height))
        reach = (max(width, height) * rng.uniform(0.02, 0.1, 2)).astype(int)
        fill = (255, 255, 255) if rng.random() < 0.6 else rng.integers(0, 256, 3).tolist()
        cv2.ellipse(scene.picture, center, reach.tolist(), 0, 0, 360, fill, -1, cv2.LINE_AA)
        cv2.ellipse(scene.picture, center, reach.tolist(), 0, 0, 360, (20, 20, 20), 2, cv2.LINE_AA)
        mask = np.zeros(scene.owner.shape, np.uint8)
        cv2.ellipse(mask, center, reach.tolist(), 0, 0, 360, 1, -1)
        scene.owner[mask > 0] = 0
        for line in range(rng.integers(0, 4)):  # like text
            y = center[1] + int((line - 1.5) * reach[1] * 0.35)
            cv2.line(scene.picture, (center[0] - reach[0] // 2, y), (center[0] + reach[0] // 2, y), (30, 30, 30), 2)


def _body(scene: Scene, rng: np.random.Generator, center: tuple[float, float], side: float) -> None:
    """Shoulders and a trunk below the place of a head, upright. They hide what is below."""
    x, y = center
    shoulder, hem, length = side * rng.uniform(0.5, 1.0), side * rng.uniform(0.4, 1.4), side * rng.uniform(1.2, 4)
    neck, top, bottom = side * 0.12, y + side * 0.35, y + side * 0.35 + length
    outline = [(x - neck, top), (x + neck, top), (x + shoulder, top + side * 0.3), (x + hem, bottom), (x - hem, bottom),
               (x - shoulder, top + side * 0.3)]  # fmt: skip
    points = np.array(outline).astype(np.int32)
    mask = np.zeros(scene.owner.shape, np.uint8)
    cv2.fillPoly(mask, [points], 1)
    cv2.fillPoly(scene.picture, [points], rng.integers(0, 256, 3).tolist(), cv2.LINE_AA)
    cv2.polylines(scene.picture, [points], True, rng.integers(0, 80, 3).tolist(), max(1, int(side / 30)), cv2.LINE_AA)
    scene.owner[mask > 0] = 0
