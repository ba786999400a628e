"""Which parts of a picture are heads: those that the detector finds, or the whole of a picture that is a head crop already."""

from dataclasses import dataclass

import numpy as np

from crystal_eyes.detector.boxes import clip
from crystal_eyes.detector.cropping import MARGIN, crop_head
from crystal_eyes.detector.runner import HeadDetector

FILLED = 0.6  # of the picture's longer side: a head whose crop is larger makes the picture a head crop
LONGEST_RATIO = 1.6  # of the sides of a head crop
FRAME = 0.3  # of the longer side: a tight crop is looked at again in a frame of this width
PAPER = 255


@dataclass(frozen=True)
class FoundHead:
    box: tuple[float, float, float, float]  # pixels of the picture
    confidence: float
    whole_picture: bool
    picture: np.ndarray  # uint8 RGB [h, w, 3]: what the encoder is shown, before it is resized


def find_heads(detector: HeadDetector, picture: np.ndarray) -> list[FoundHead]:
    """The heads in a uint8 RGB [h, w, 3] picture, surest first.

    A detector that learned from whole pictures misses heads that fill theirs, so one without any is looked at again in a frame.
    """
    height, width = picture.shape[:2]
    square = max(height, width) <= LONGEST_RATIO * min(height, width)
    boxes, scores = detector.detect(picture)
    if square and not len(boxes):
        edge = round(FRAME * max(height, width))
        framed = np.pad(picture, ((edge, edge), (edge, edge), (0, 0)), constant_values=PAPER)
        boxes, scores = detector.detect(framed)
        boxes = clip(boxes - np.float32(edge), width, height)
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0) * (1 + 2 * MARGIN)
    if square and len(boxes) and sides.max() >= FILLED * max(height, width):
        return [FoundHead((0.0, 0.0, float(width), float(height)), float(scores[sides.argmax()]), True, picture)]
    return [
        FoundHead(tuple(float(v) for v in box), float(score), False, crop_head(picture, box))
        for box, score in zip(boxes, scores)
    ]
