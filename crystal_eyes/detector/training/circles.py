"""Random circles over heads, so that a detector doesn't depend on seeing an oval with two eyes."""

import cv2
import numpy as np

from crystal_eyes.boxes import as_boxes


def random_circles(picture: np.ndarray, boxes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """uint8 [h, w, 3]: a copy of the picture with one to three colored, partly transparent circles over each box.

    boxes: float32 [n, 4], pixels. A circle's center lies in its box, its radius is 0.08 to 0.25 of the box's longer side.
    """
    picture = picture.copy()
    for left, top, right, bottom in as_boxes(boxes):
        side = max(right - left, bottom - top)
        for _ in range(rng.integers(1, 4)):
            center = rng.uniform(left, right), rng.uniform(top, bottom)
            radius = max(1.0, side * rng.uniform(0.08, 0.25))
            opacity, color = rng.uniform(0.25, 0.85), rng.integers(0, 256, 3)
            x0, y0 = (max(0, int(v - radius)) for v in center)
            part = picture[y0 : int(center[1] + radius) + 2, x0 : int(center[0] + radius) + 2]
            if not part.size:
                continue
            painted = part.copy()
            middle = round(center[0] - x0), round(center[1] - y0)
            cv2.circle(painted, middle, round(radius), color.tolist(), -1, cv2.LINE_AA)
            cv2.addWeighted(painted, opacity, part, 1 - opacity, 0, dst=painted)
            part[...] = painted
    return picture
