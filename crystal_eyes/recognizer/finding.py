"""Which parts of a picture are heads: those that the detector finds, or all of a picture that is itself a head crop."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from crystal_eyes.boxes import clip
from crystal_eyes.data.cropping import MARGIN, crop_head
from crystal_eyes.detector.calibration import logit
from crystal_eyes.detector.defaults import DETAILS, HIGH, NORMAL
from crystal_eyes.detector.runtime import GRAY, HeadDetector

FILL_SHARE = 0.6  # of the picture's longer side: if a head's crop is at least this large, the picture is a head crop
MAX_RATIO = 1.6  # of the sides of a head crop
CROP_SIDE = 400  # px: a picture whose longer side is at most this may be a head crop
FRAMED_SIDE = 1000  # px: larger pictures are reduced before they are framed, to save memory
MAX_HEADS = 100  # of one picture, the most confident: naming them is what a crowd costs
FRAME, PAPER = 0.6, 255  # around a tight crop: width as a share of the longer side, gray value
SECOND_FRAME = 0.3  # where nothing was found in the first one: the same width, in GRAY
# outputs of the network for a head that fills a picture of at most CROP_SIDE in which nothing else is found. It must be seen
# three times: in the picture, in the frame and in the second frame. What is no head is often seen once, but hardly three times.
POSSIBLE, FAINT = 0.03, 0.06  # each of the three, and their mean (of log-odds)


@dataclass(frozen=True)
class Search:
    """How a picture is searched. Raises ValueError where the two contradict each other."""

    detail: str = NORMAL  # one of DETAILS; HIGH: small heads are found too, which takes longer
    head: bool = False  # every picture is one head: it is used as it is

    def __post_init__(self) -> None:
        if self.detail not in DETAILS:
            raise ValueError(f"detail is {self.detail!r}: it must be {' or '.join(DETAILS)}")
        if self.head and self.detail != NORMAL:
            raise ValueError(f"detail is {self.detail}, but a picture that is one head is not searched: give one of the two")


@dataclass(frozen=True)
class FoundHead:
    """A head that was found but not named yet."""

    box: tuple[float, float, float, float]  # left, top, right, bottom in pixels of the picture
    confidence: float  # 1 where the caller says that the picture is a head
    whole_picture: bool  # the picture is itself a head crop
    picture: np.ndarray  # uint8 RGB [h, w, 3]: the crop that is resized for the encoder


def find_heads(detector: HeadDetector, picture: np.ndarray, search: Search = Search()) -> list[FoundHead]:
    """The heads in a uint8 RGB [h, w, 3] picture, most confident first, at most MAX_HEADS.

    A detector trained on whole pictures misses heads that fill theirs, so a small picture, or one without any head, is put
    into a frame and searched again. A small one that still shows none is a head crop if it may show a head that fills it.
    """
    height, width = picture.shape[:2]
    longer = max(height, width)
    if search.head:
        return [_whole(picture, 1.0)]
    if search.detail == HIGH:
        coarse = find_heads(detector, picture)
        if coarse and coarse[0].whole_picture and coarse[0].confidence > detector.confidence:
            return coarse  # in tiles of a head, parts of it look like heads
        boxes, scores = detector.detect(picture, detail=HIGH)
        return _cut_out(picture, boxes, scores) if len(boxes) else coarse
    square = longer <= MAX_RATIO * min(height, width)
    small = square and longer <= CROP_SIDE
    least = detector.confidence_of(POSSIBLE)
    possible = detector.detect(picture, least if small else detector.confidence)
    boxes, scores = _sure(detector, *possible)
    filling = _filling(boxes, scores, longer) if square else 0.0
    if square and not filling and (small or not len(boxes)):
        framed = _detect_in_frame(detector, picture, FRAME, PAPER, least)
        again, again_scores = _sure(detector, *framed)
        filling = _filling(again, again_scores, longer)
        if not len(boxes):
            boxes, scores = again, again_scores
        if small and not len(boxes):
            seen = [_filling(*possible, longer), _filling(*framed, longer)]
            if min(seen) > 0:
                seen.append(_filling(*_detect_in_frame(detector, picture, SECOND_FRAME, GRAY, least), longer))
                enough = min(seen) > 0 and logit(np.array(seen)).mean() > logit(np.array(detector.confidence_of(FAINT)))
                filling = max(seen) if enough else 0.0
    return [_whole(picture, filling)] if filling else _cut_out(picture, boxes, scores)


def _cut_out(picture: np.ndarray, boxes: np.ndarray, scores: np.ndarray) -> list[FoundHead]:
    return [
        FoundHead((float(box[0]), float(box[1]), float(box[2]), float(box[3])), float(score), False, crop_head(picture, box))
        for box, score in zip(boxes[:MAX_HEADS], scores)
    ]


def _whole(picture: np.ndarray, confidence: float) -> FoundHead:
    height, width = picture.shape[:2]
    return FoundHead((0.0, 0.0, float(width), float(height)), confidence, True, picture)


def _sure(detector: HeadDetector, boxes: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Those above the detector's default confidence."""
    return boxes[scores > detector.confidence], scores[scores > detector.confidence]


def _detect_in_frame(
    detector: HeadDetector, picture: np.ndarray, share: float, gray: int, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Heads above a confidence in a picture within a frame, clipped to the picture. share: the frame's width in its sides."""
    height, width = picture.shape[:2]
    scale = min(1.0, FRAMED_SIDE / max(height, width))
    sides = [max(1, round(side * scale)) for side in (width, height)]
    small = picture if scale == 1 else np.asarray(Image.fromarray(picture).resize(sides, Image.Resampling.BOX))
    edge = round(share * max(sides))
    framed = np.pad(small, ((edge, edge), (edge, edge), (0, 0)), constant_values=gray)
    boxes, scores = detector.detect(framed, confidence)
    return clip((boxes - np.float32(edge)) / np.float32(scale), width, height), scores


def _filling(boxes: np.ndarray, scores: np.ndarray, longer: int) -> float:
    """The confidence of the surest head whose crop fills a picture of this longer side; 0: there is none."""
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0) * (1 + 2 * MARGIN)
    return float(scores[sides >= FILL_SHARE * longer].max(initial=0))
