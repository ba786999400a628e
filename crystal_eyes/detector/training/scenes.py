"""Composed scenes: cutouts of heads pasted on backgrounds, in panels, over each other and over the border, with their boxes."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

from crystal_eyes.boxes import area, as_boxes, clip, intersection

LONG_SIDE = 640  # pixels of a scene
MIN_VISIBLE = 0.5  # a head has a box where more than this share of it is visible

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels


@dataclass
class Cutout:
    """A head to paste: uint8 RGBA [h, w, 4], upright, and the head's box in it."""

    picture: np.ndarray
    box: Box


CutoutSource = Callable[[np.random.Generator], Cutout]  # draws a head at random
# draws a picture to paste on at random: uint8 RGB [h, w, 3], and the boxes float32 [n, 4] of the heads that it shows
BackgroundSource = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]


@dataclass
class Scene:
    """A scene being composed."""

    picture: np.ndarray  # uint8 RGB [h, w, 3]
    boxes: list[np.ndarray] = field(default_factory=list)  # of each head, float32 [4]
    areas: list[int] = field(default_factory=list)  # of each head, pixels, as if nothing hid it
    owner: np.ndarray = field(init=False)  # int16 [h, w]: the number of the head that a pixel shows, from 1; 0: none

    def __post_init__(self) -> None:
        self.owner = np.zeros(self.picture.shape[:2], np.int16)

    def visible_boxes(self) -> np.ndarray:
        """float32 [n, 4], clipped to the picture: of the heads that are visible for more than MIN_VISIBLE."""
        height, width = self.owner.shape
        visible = np.bincount(self.owner.ravel(), minlength=len(self.boxes) + 1)[1:]
        kept = [box for box, n, whole in zip(self.boxes, visible, self.areas) if n > MIN_VISIBLE * whole]
        return clip(as_boxes(kept), width, height)

    def add_boxes(self, boxes: np.ndarray) -> None:
        """Add heads that the background shows already, as the ellipses in their boxes."""
        for left, top, right, bottom in as_boxes(boxes):
            self.boxes.append(np.array([left, top, right, bottom], np.float32))
            mask = np.zeros(self.owner.shape, np.uint8)
            center = round((left + right) / 2), round((top + bottom) / 2)
            cv2.ellipse(mask, center, (round((right - left) / 2), round((bottom - top) / 2)), 0, 0, 360, 1, -1)
            self.owner[mask > 0] = len(self.boxes)
            self.areas.append(int(mask.sum()))

    def paste(self, cutout: Cutout, center: tuple[float, float], side: float, angle: float, mirrored: bool) -> None:
        """Paste a cutout so that its head's longer side has `side` pixels and its head's center lies at `center`.

        angle: degrees, clockwise. The head is taken as the ellipse in its box; the new box encloses the rotated ellipse.
        """
        left, top, right, bottom = cutout.box
        scale = side / max(right - left, bottom - top)
        rotation = math.radians(angle)
        cos, sin, flip = scale * math.cos(rotation), scale * math.sin(rotation), -1 if mirrored else 1
        matrix = np.array([[cos * flip, -sin, 0], [sin * flip, cos, 0]], np.float32)
        matrix[:, 2] = np.array(center) - matrix[:, :2] @ [(left + right) / 2, (top + bottom) / 2]
        a, b = (right - left) / 2, (bottom - top) / 2
        reach = np.array([math.hypot(cos * a, sin * b), math.hypot(sin * a, cos * b)])
        self.boxes.append(np.array([*(center - reach), *(center + reach)], np.float32))
        self.areas.append(max(1, int(math.pi * a * b * scale**2)))

        height, width = cutout.picture.shape[:2]
        corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]]) @ matrix.T
        x0, y0 = np.clip(np.floor(corners.min(0)), 0, None).astype(int)
        x1, y1 = np.minimum(np.ceil(corners.max(0)).astype(int) + 1, self.owner.shape[::-1])
        if x1 <= x0 or y1 <= y0:
            return
        matrix[:, 2] -= x0, y0
        picture = cutout.picture
        if scale < 0.5:  # warpAffine samples single pixels: average areas first
            small = max(1, round(width * scale)), max(1, round(height * scale))
            picture = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
            matrix[:, :2] @= np.diag([width / small[0], height / small[1]]).astype(np.float32)
        matrix[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5  # OpenCV: from pixel centers; boxes: from edges
        size = int(x1 - x0), int(y1 - y0)
        drawn = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        alpha = cv2.warpAffine(picture[..., 3], matrix, size, flags=cv2.INTER_LINEAR)[..., None].astype(np.float32) / 255
        part = self.picture[y0:y1, x0:x1]
        part[...] = np.rint(part + alpha * (drawn[..., :3].astype(np.float32) - part)).astype(np.uint8)
        head = np.zeros(part.shape[:2], np.uint8)
        cv2.ellipse(
            head, (round(center[0] - x0), round(center[1] - y0)), (round(scale * a), round(scale * b)), angle, 0, 360, 1, -1
        )
        owner = self.owner[y0:y1, x0:x1]
        owner[alpha[..., 0] > 0.5] = 0
        owner[head > 0] = len(self.boxes)


def compose_scenes(
    count: int, name: str, seed: list[int], draw_cutout: CutoutSource, draw_background: BackgroundSource | None = None
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """`count` scenes with their names, each from its own random generator: the first ones don't depend on the count."""
    for number in range(count):
        yield f"{name}-{number:05d}", *compose(np.random.default_rng([*seed, number]), draw_cutout, draw_background)


def compose(
    rng: np.random.Generator, draw_cutout: CutoutSource, draw_background: BackgroundSource | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """One scene: uint8 RGB [h, w, 3] and float32 [n, 4] boxes; one in 14 shows no head.

    Half of the scenes have the size of a background from draw_background, where given; the longer side of the others is
    LONG_SIDE pixels.
    """
    kind = rng.random()
    if draw_background is not None and kind < 0.5:
        picture, boxes = draw_background(rng)
        scene = Scene(picture.copy())
        scene.add_boxes(boxes)
        _scatter(scene, rng, draw_cutout, int(rng.integers(0, 5)), avoid_existing=True)
    else:
        long, short = LONG_SIDE, int(LONG_SIDE * rng.uniform(0.5, 1))
        scene = Scene(synthetic_background(rng, *((long, short) if rng.random() < 0.5 else (short, long))))
        if kind > 0.93:
            pass  # no head
        elif kind > 0.78:
            _panels(scene, rng, draw_cutout)
        else:
            _scatter(scene, rng, draw_cutout, rng.choice([1, 1, 2, 2, 3, 4, 6, 9]))
    if rng.random() < 0.35:
        _speech_bubbles(scene, rng)
    picture, tone = scene.picture, rng.random()
    if tone < 0.15:  # grayscale, or printed in one ink
        gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32) / 255
        ink, paper = (
            (rng.integers(0, 120, 3), rng.integers(140, 256, 3)) if tone < 0.04 else (np.zeros(3, int), np.full(3, 255))
        )
        picture = np.broadcast_to(ink + gray * (paper - ink), (*picture.shape[:2], 3)).astype(np.uint8)
    return np.ascontiguousarray(picture), scene.visible_boxes()


def synthetic_background(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """uint8 RGB [height, width, 3]: flat, a gradient, clouds of two colors, or full of shapes and lines."""
    first, second = rng.integers(0, 256, (2, 3)).astype(np.float32)
    kind = rng.integers(0, 5)
    if kind == 0:
        shade = 255 - rng.integers(0, 40) * np.ones(3) if rng.random() < 0.5 else first
        picture = np.full((height, width, 3), shade, np.uint8)
    else:
        direction = rng.uniform(0, 2 * math.pi)
        x, y = np.meshgrid(np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32))
        mix = np.clip(0.5 + 0.6 * (x * math.cos(direction) + y * math.sin(direction)), 0, 1)
        if kind == 1:  # clouds
            coarse = rng.random((rng.integers(3, 12), rng.integers(3, 12))).astype(np.float32)
            mix = np.clip(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)
        picture = (first + mix[..., None] * (second - first)).astype(np.uint8)
    for _ in range(rng.integers(10, 60) if kind >= 3 else 0):
        color, (px, py) = rng.integers(0, 256, 3).tolist(), (rng.random(2) * (width, height)).astype(int).tolist()
        reach = (LONG_SIDE * rng.uniform(0.01, 0.15, 2)).astype(int).tolist()
        form = rng.integers(0, 4)
        if form == 0:
            cv2.ellipse(picture, (px, py), reach, rng.uniform(0, 180), 0, 360, color, -1, cv2.LINE_AA)
        elif form == 1:
            cv2.rectangle(picture, (px, py), (px + reach[0], py + reach[1]), color, -1)
        elif form == 2:
            points = (rng.normal(0, 1, (rng.integers(3, 8), 2)) * reach + (px, py)).astype(np.int32)
            cv2.fillPoly(picture, [points], color, cv2.LINE_AA)
        else:
            cv2.line(picture, (px, py), (px + 3 * reach[0], py + 3 * reach[1]), color, int(rng.integers(1, 8)), cv2.LINE_AA)
    return picture


def _scatter(
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
    largest = 0.75 if heads == 1 else 0.9 / math.sqrt(max(heads, 1))
    for side in sorted(min(width, height) * np.exp(rng.uniform(math.log(smallest), math.log(largest), heads))):
        center = rng.uniform(0, width), rng.uniform(0, height)
        reach = 0.5 * side
        box = as_boxes([center[0] - reach, center[1] - reach, center[0] + reach, center[1] + reach])
        if avoid_existing and len(existing) and intersection(box, existing).sum() > 0.2 * area(box).sum():
            continue
        angle = rng.normal(0, 12) if rng.random() < 0.85 else rng.uniform(-90, 90)
        scene.paste(draw_cutout(rng), center, side, angle, rng.random() < 0.5)


def _panels(scene: Scene, rng: np.random.Generator, draw_cutout: CutoutSource) -> None:
    """A page of panels, most with a head or two, on a white or black page."""
    height, width = scene.owner.shape
    columns, rows = rng.integers(1, 4), rng.integers(1, 5)
    gap, page = int(rng.integers(2, 12)), int(rng.choice([0, 255, 255]))
    scene.picture[...] = page
    for row in range(rows):
        for column in range(columns):
            x0, x1 = (int(width * c / columns) + gap for c in (column, column + 1))
            y0, y1 = (int(height * r / rows) + gap for r in (row, row + 1))
            x1, y1 = x1 - gap, y1 - gap
            panel = Scene(synthetic_background(rng, x1 - x0, y1 - y0))
            _scatter(panel, rng, draw_cutout, rng.choice([0, 1, 1, 1, 2]), smallest=0.3)
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


def _speech_bubbles(scene: Scene, rng: np.random.Generator) -> None:
    """Ovals, some with lines like text: they hide what is below, and are not heads."""
    height, width = scene.owner.shape
    for _ in range(rng.integers(1, 4)):
        center = int(rng.uniform(0, width)), int(rng.uniform(0, height))
        reach = (LONG_SIDE * rng.uniform(0.02, 0.1, 2)).astype(int)
        fill = (255, 255, 255) if rng.random() < 0.6 else rng.integers(0, 256, 3).tolist()
        cv2.ellipse(scene.picture, center, reach.tolist(), 0, 0, 360, fill, -1, cv2.LINE_AA)
        cv2.ellipse(scene.picture, center, reach.tolist(), 0, 0, 360, (20, 20, 20), 2, cv2.LINE_AA)
        mask = np.zeros(scene.owner.shape, np.uint8)
        cv2.ellipse(mask, center, reach.tolist(), 0, 0, 360, 1, -1)
        scene.owner[mask > 0] = 0
        for line in range(rng.integers(0, 4)):  # like text
            y = center[1] + int((line - 1.5) * reach[1] * 0.35)
            cv2.line(scene.picture, (center[0] - reach[0] // 2, y), (center[0] + reach[0] // 2, y), (30, 30, 30), 2)
