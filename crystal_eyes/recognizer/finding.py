"""Which parts of a picture are heads: those that the detector finds, or all of a picture that is itself a head crop."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from crystal_eyes.boxes import clip
from crystal_eyes.data.cropping import MARGIN, crop_head
from crystal_eyes.detector.defaults import DETAILS, NORMAL
from crystal_eyes.detector.runtime import GRAY, HeadDetector

FILL_SHARE = 0.6  # of the picture's longer side: if a head's crop is at least this large, the picture is a head crop
MAX_RATIO = 1.6  # of the sides of a head crop
CROP_SIDE = 400  # px: a picture whose longer side is at most this may be a head crop
FRAMED_SIDE = 1000  # px: larger pictures are reduced before they are framed, to save memory
MAX_HEADS = 100  # of one picture, the most confident: naming them is what a crowd costs
PAPER = 255
# around a tight crop: width of the frame as a share of the longer side, gray value; the second only where nothing was found
FRAMES = ((0.6, PAPER), (0.3, GRAY))
FAINT = 0.15  # minimum confidence of a head that fills a picture of at most CROP_SIDE in which nothing else was found


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
    into a frame and searched again. A small one that still shows none is a head crop if a head that fills it is possible.
    """
    height, width = picture.shape[:2]
    longer = max(height, width)
    if search.head:
        return [_whole(picture, 1.0)]
    square = longer <= MAX_RATIO * min(height, width)
    least = min(FAINT, detector.confidence) if square and longer <= CROP_SIDE and search.detail == NORMAL else detector.confidence
    possible, their_scores = detector.detect(picture, least, detail=search.detail)
    boxes, scores = _sure(detector, possible, their_scores)
    filling, faint = (_filling(boxes, scores, longer), _filling(possible, their_scores, longer)) if square else (0.0, 0.0)
    if square and not filling and (not len(boxes) or longer <= CROP_SIDE):
        for number, frame in enumerate(FRAMES):
            if number and len(boxes):
                break
            possible, their_scores = _detect_in_frame(detector, picture, *frame)
            again, again_scores = _sure(detector, possible, their_scores)
            filling, faint = _filling(again, again_scores, longer), max(faint, _filling(possible, their_scores, longer))
            if not len(boxes):
                boxes, scores = again, again_scores
    if not len(boxes) and longer <= CROP_SIDE:
        filling = faint
    if filling:
        return [_whole(picture, filling)]
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
    detector: HeadDetector, picture: np.ndarray, share: float, gray: int
) -> tuple[np.ndarray, np.ndarray]:
    """Possible heads in a picture within a frame, clipped to the picture. share, gray: see FRAMES."""
    height, width = picture.shape[:2]
    scale = min(1.0, FRAMED_SIDE / max(height, width))
    sides = [max(1, round(side * scale)) for side in (width, height)]
    small = picture if scale == 1 else np.asarray(Image.fromarray(picture).resize(sides, Image.Resampling.BOX))
    edge = round(share * max(sides))
    framed = np.pad(small, ((edge, edge), (edge, edge), (0, 0)), constant_values=gray)
    boxes, scores = detector.detect(framed, min(FAINT, detector.confidence))
    return clip((boxes - np.float32(edge)) / np.float32(scale), width, height), scores


def _filling(boxes: np.ndarray, scores: np.ndarray, longer: int) -> float:
    """The confidence of the surest head whose crop fills a picture of this longer side; 0: there is none."""
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0) * (1 + 2 * MARGIN)
    return float(scores[sides >= FILL_SHARE * longer].max(initial=0))
