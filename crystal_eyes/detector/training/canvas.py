"""The scene that heads are pasted into, which knows how much of each is visible."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np

from crystal_eyes.boxes import as_boxes, clip

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

    def paste(
        self, cutout: Cutout, center: tuple[float, float], side: float, angle: float, mirrored: bool, is_head: bool = True
    ) -> None:
        """Paste a cutout so that its head's longer side has `side` pixels and its head's center lies at `center`.

        angle: degrees, clockwise. The head is taken as the ellipse in its box; the new box encloses the rotated ellipse.
        is_head: False for an object, which has a box in its cutout too, but gets none in the scene and hides what is below.
        """
        left, top, right, bottom = cutout.box
        scale = side / max(right - left, bottom - top)
        rotation = math.radians(angle)
        cos, sin, flip = scale * math.cos(rotation), scale * math.sin(rotation), -1 if mirrored else 1
        matrix = np.array([[cos * flip, -sin, 0], [sin * flip, cos, 0]], np.float32)
        matrix[:, 2] = np.array(center) - matrix[:, :2] @ [(left + right) / 2, (top + bottom) / 2]
        a, b = (right - left) / 2, (bottom - top) / 2
        reach = np.array([math.hypot(cos * a, sin * b), math.hypot(sin * a, cos * b)])
        if is_head:
            self.boxes.append(np.array([*(center - reach), *(center + reach)], np.float32))
            self.areas.append(max(1, int(math.pi * a * b * scale**2)))

        height, width = cutout.picture.shape[:2]
        corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]]) @ matrix.T
        x0, y0 = np.clip(np.floor(corners.min(0)), 0, None).astype(int)
        x1, y1 = np.minimum(np.ceil(corners.max(0)).astype(int) + 1, self.owner.shape[::-1])
        if x1 <= x0 or y1 <= y0:
            return
        matrix[:, 2] -= x0, y0
        picture = cutout.picture.copy()  # colors times opacity: those of transparent pixels would tint the edge
        picture[..., :3] = cv2.multiply(picture[..., :3], cv2.merge([picture[..., 3]] * 3), scale=1 / 255)
        if scale < 0.5:  # warpAffine samples single pixels: average areas first
            small = max(1, round(width * scale)), max(1, round(height * scale))
            picture = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
            matrix[:, :2] @= np.diag([width / small[0], height / small[1]]).astype(np.float32)
        matrix[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5  # OpenCV: from pixel centers; boxes: from edges
        size = int(x1 - x0), int(y1 - y0)
        drawn = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        alpha = drawn[..., 3:].astype(np.float32) / 255
        part = self.picture[y0:y1, x0:x1]
        part[...] = np.clip(np.rint(drawn[..., :3] + (1 - alpha) * part), 0, 255).astype(np.uint8)
        owner = self.owner[y0:y1, x0:x1]
        owner[alpha[..., 0] > 0.5] = 0
        if not is_head:
            return
        head = np.zeros(part.shape[:2], np.uint8)
        cv2.ellipse(
            head, (round(center[0] - x0), round(center[1] - y0)), (round(scale * a), round(scale * b)), angle, 0, 360, 1, -1
        )
        owner[head > 0] = len(self.boxes)
