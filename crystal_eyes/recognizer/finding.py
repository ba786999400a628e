"""Which parts of a picture are heads: those that the detector finds, or the whole of a picture that is a head crop already."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from crystal_eyes.data.cropping import MARGIN, crop_head
from crystal_eyes.detector.boxes import clip
from crystal_eyes.detector.runtime import HeadDetector

FILLED = 0.6  # of the picture's longer side: a head whose crop is larger makes the picture a head crop
LONGEST_RATIO = 1.6  # of the sides of a head crop
CROP_SIDE = 400  # px: up to this longer side a picture is suspected to be a head crop
FRAMED_SIDE = 1000  # px: larger pictures are made smaller for it, a frame around them would take much memory
FRAME = 0.6  # of the longer side: the frame in which a tight crop is looked at again
PAPER = 255


@dataclass(frozen=True)
class FoundHead:
    box: tuple[float, float, float, float]  # pixels of the picture
    confidence: float
    whole_picture: bool
    picture: np.ndarray  # uint8 RGB [h, w, 3]: what the encoder is shown, before it is resized


def find_heads(detector: HeadDetector, picture: np.ndarray) -> list[FoundHead]:
    """The heads in a uint8 RGB [h, w, 3] picture, surest first.

    A detector that learned from whole pictures misses heads that fill theirs, so a small picture, and one without any head, is
    looked at again in a frame.
    """
    height, width = picture.shape[:2]
    longer = max(height, width)
    square = longer <= LONGEST_RATIO * min(height, width)
    boxes, scores = detector.detect(picture)
    filling = _filling(boxes, scores, longer) if square else 0.0
    if square and not filling and (not len(boxes) or longer <= CROP_SIDE):
        scale = min(1.0, FRAMED_SIDE / longer)
        sides = [max(1, round(side * scale)) for side in (width, height)]
        small = picture if scale == 1 else np.asarray(Image.fromarray(picture).resize(sides, Image.Resampling.BOX))
        edge = round(FRAME * max(sides))
        framed = np.pad(small, ((edge, edge), (edge, edge), (0, 0)), constant_values=PAPER)
        again, sure = detector.detect(framed)
        again = clip((again - np.float32(edge)) / np.float32(scale), width, height)
        filling = _filling(again, sure, longer)
        if not len(boxes):
            boxes, scores = again, sure
    if filling:
        return [FoundHead((0.0, 0.0, float(width), float(height)), filling, True, picture)]
    return [
        FoundHead(tuple(float(v) for v in box), float(score), False, crop_head(picture, box))
        for box, score in zip(boxes, scores)
    ]


def _filling(boxes: np.ndarray, scores: np.ndarray, longer: int) -> float:
    """The confidence of the largest head if its crop fills a picture of this longer side, else 0."""
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0) * (1 + 2 * MARGIN)
    return float(scores[sides.argmax()]) if len(sides) and sides.max() >= FILLED * longer else 0.0
