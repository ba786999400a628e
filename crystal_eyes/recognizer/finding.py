"""Which parts of a picture are heads: those that the detector finds, or all of a picture that is itself a head crop."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from crystal_eyes.boxes import clip
from crystal_eyes.data.cropping import MARGIN, crop_head
from crystal_eyes.detector.runtime import HeadDetector

FILL_SHARE = 0.6  # of the picture's longer side: if a head's crop is at least this large, the picture is a head crop
MAX_RATIO = 1.6  # of the sides of a head crop
CROP_SIDE = 400  # px: a picture whose longer side is at most this may be a head crop
FRAMED_SIDE = 1000  # px: larger pictures are reduced before they are framed, to save memory
MAX_HEADS = 100  # of one picture, the most confident: naming them is what a crowd costs
FRAME = 0.6  # of the longer side: width of the frame around a tight crop for the second detection
PAPER = 255  # the frame's gray value


@dataclass(frozen=True)
class FoundHead:
    """A head that was found but not named yet."""

    box: tuple[float, float, float, float]  # left, top, right, bottom in pixels of the picture
    confidence: float
    whole_picture: bool  # the picture is itself a head crop
    picture: np.ndarray  # uint8 RGB [h, w, 3]: the crop that is resized for the encoder


def find_heads(detector: HeadDetector, picture: np.ndarray) -> list[FoundHead]:
    """The heads in a uint8 RGB [h, w, 3] picture, most confident first, at most MAX_HEADS.

    A detector trained on whole pictures misses heads that fill theirs, so a small picture, or one without any head, is put
    into a frame and searched again.
    """
    height, width = picture.shape[:2]
    longer = max(height, width)
    square = longer <= MAX_RATIO * min(height, width)
    boxes, scores = detector.detect(picture)
    filling = _filling(boxes, scores, longer) if square else 0.0
    if square and not filling and (not len(boxes) or longer <= CROP_SIDE):
        scale = min(1.0, FRAMED_SIDE / longer)
        sides = [max(1, round(side * scale)) for side in (width, height)]
        small = picture if scale == 1 else np.asarray(Image.fromarray(picture).resize(sides, Image.Resampling.BOX))
        edge = round(FRAME * max(sides))
        framed = np.pad(small, ((edge, edge), (edge, edge), (0, 0)), constant_values=PAPER)
        again, again_scores = detector.detect(framed)
        again = clip((again - np.float32(edge)) / np.float32(scale), width, height)
        filling = _filling(again, again_scores, longer)
        if not len(boxes):
            boxes, scores = again, again_scores
    if filling:
        return [FoundHead((0.0, 0.0, float(width), float(height)), filling, True, picture)]
    return [
        FoundHead((float(box[0]), float(box[1]), float(box[2]), float(box[3])), float(score), False, crop_head(picture, box))
        for box, score in zip(boxes[:MAX_HEADS], scores)
    ]


def _filling(boxes: np.ndarray, scores: np.ndarray, longer: int) -> float:
    """The confidence of the largest head if its crop fills a picture of this longer side, else 0."""
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0) * (1 + 2 * MARGIN)
    return float(scores[sides.argmax()]) if len(sides) and sides.max() >= FILL_SHARE * longer else 0.0
