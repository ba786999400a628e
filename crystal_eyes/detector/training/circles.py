"""Random circles over heads: what is seen of a head in training is not always an oval with two eyes."""

import cv2
import numpy as np

from crystal_eyes.boxes import as_boxes


def random_circles(picture: np.ndarray, boxes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """uint8 [h, w, 3] with one to three coloured, partly transparent circles over each box; the argument is left as it is.

    boxes: float32 [n, 4], pixels. A circle's middle lies in its head's box, its radius is 0.08 to 0.25 of the longer side.
    """
    picture = picture.copy()
    for left, top, right, bottom in as_boxes(boxes):
        side = max(right - left, bottom - top)
        for _ in range(rng.integers(1, 4)):
            middle = rng.uniform(left, right), rng.uniform(top, bottom)
            radius = max(1.0, side * rng.uniform(0.08, 0.25))
            opaque, colour = rng.uniform(0.25, 0.85), rng.integers(0, 256, 3)
            x0, y0 = (max(0, int(v - radius)) for v in middle)
            part = picture[y0 : int(middle[1] + radius) + 2, x0 : int(middle[0] + radius) + 2]
            if not part.size:
                continue
            over = part.copy()
            cv2.circle(over, (round(middle[0] - x0), round(middle[1] - y0)), round(radius), colour.tolist(), -1, cv2.LINE_AA)
            cv2.addWeighted(over, opaque, part, 1 - opaque, 0, dst=over)
            part[...] = over
    return picture
