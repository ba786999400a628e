"""Runs a head detector: ONNX in, boxes out. Needs only numpy and onnxruntime."""

from pathlib import Path

import numpy as np

from crystal_eyes.boxes import area, clip, nms
from crystal_eyes.detector.defaults import CONFIDENCE, NMS_IOU
from crystal_eyes.detector.resizing import resize
from crystal_eyes.errors import UserError
from crystal_eyes.onnx_session import open_session

FILE = "detector.onnx"
KIND = "crystal-eyes head detector"  # metadata of every detector file
STRIDE = 32  # pixels: sides of the network's input are multiples of it
GRAY = 114  # value of the padding, as in ultralytics
MAX_WINDOWS = 100  # of a long strip: one that is a pixel wide would have thousands
MAX_ASPECT_RATIO = 3.0  # a longer strip is searched in overlapping windows


class HeadDetector:
    """Finds the heads of drawn characters in pictures."""

    def __init__(self, path: str | Path, image_size: int | None = None, threads: int | None = None):
        """path: the file, or the folder that holds it as FILE. image_size: longer side of the network's input in pixels, a
        multiple of STRIDE; None: the one stored in the file. threads: None: one per core.

        Raises UserError: the file is unreadable or not a Crystal Eyes head detector.
        """
        path = Path(path)
        path = path / FILE if path.is_dir() else path
        try:
            self.session = open_session(path.read_bytes(), threads)
        except Exception as error:  # onnxruntime has its own exceptions
            raise UserError(f"detector {path} can't be read: {str(error).splitlines()[0]}") from None
        metadata = self.session.get_modelmeta().custom_metadata_map
        if metadata.get("kind") != KIND:
            raise UserError(f"{path} is not a Crystal Eyes head detector")
        self.image_size = image_size or int(metadata["image_size"])

    def detect(
        self, picture: np.ndarray, confidence: float = CONFIDENCE, nms_iou: float = NMS_IOU
    ) -> tuple[np.ndarray, np.ndarray]:
        """Heads in a uint8 RGB [h, w, 3] picture: float32 [n, 4] boxes inside it and float32 [n] confidences, highest first.

        confidence: only heads above it. nms_iou: of two boxes that overlap more, the less confident one is dropped.
        A strip more than MAX_ASPECT_RATIO times as long as wide is searched in overlapping windows: scaled down as a whole,
        its heads would be too small.
        """
        height, width = picture.shape[:2]
        found_boxes, found_scores = [], []
        for left, top, right, bottom in windows(width, height):
            boxes, scores = self._detect_in_window(picture[top:bottom, left:right], confidence, nms_iou)
            # a head cut by an inner edge of this window is whole in the next one
            cut = ((boxes[:, 0] < 1) & (left > 0)) | ((boxes[:, 1] < 1) & (top > 0))
            cut |= (boxes[:, 2] > right - left - 1) & (right < width)
            cut |= (boxes[:, 3] > bottom - top - 1) & (bottom < height)
            found_boxes.append(boxes[~cut] + np.array([left, top, left, top], np.float32))
            found_scores.append(scores[~cut])
        if len(found_boxes) == 1:
            return found_boxes[0], found_scores[0]
        boxes, scores = np.concatenate(found_boxes), np.concatenate(found_scores)
        keep = nms(boxes, scores, nms_iou)  # a head in the overlap of two windows was found twice
        return boxes[keep], scores[keep]

    def _detect_in_window(self, picture: np.ndarray, confidence: float, nms_iou: float) -> tuple[np.ndarray, np.ndarray]:
        height, width = picture.shape[:2]
        padded, scales, (left, top) = letterbox(picture, self.image_size)
        raw = self.session.run(None, {"pictures": padded[None]})[0][0]  # [5, anchors]: center x, y, width, height, confidence
        raw = raw[:, raw[4] > confidence]
        boxes, scores = np.concatenate([raw[:2] - raw[2:4] / 2, raw[:2] + raw[2:4] / 2]).T, raw[4]
        keep = nms(boxes, scores, nms_iou)  # before clipping, as in training
        boxes = clip(
            (boxes[keep] - np.array([left, top, left, top], np.float32)) / np.array(scales * 2, np.float32), width, height
        )
        visible = area(boxes) > 0
        return boxes[visible], scores[keep][visible]


def letterbox(picture: np.ndarray, size: int) -> tuple[np.ndarray, tuple[float, float], tuple[int, int]]:
    """The picture scaled so that its longer side is `size` pixels, padded with gray to multiples of STRIDE, as in ultralytics.

    picture: uint8 [h, w, 3]. Returns uint8 [h', w', 3]; the horizontal and vertical scale, which differ a little because
    sides are whole pixels; and the padding on the left and at the top, pixels.
    """
    height, width = picture.shape[:2]
    scale = size / max(height, width)
    new = max(1, round(width * scale)), max(1, round(height * scale))
    if new != (width, height):
        picture = resize(picture, *new)
    across, down = ((-side % STRIDE) / 2 for side in new)
    left, right, top, bottom = (round(v) for v in (across - 0.1, across + 0.1, down - 0.1, down + 0.1))
    padded = np.pad(picture, ((top, bottom), (left, right), (0, 0)), constant_values=GRAY)
    return padded, (new[0] / width, new[1] / height), (left, top)


def windows(width: int, height: int) -> list[tuple[int, int, int, int]]:
    """Left, top, right, bottom in pixels of the parts to search: the whole picture, or squares along a strip that overlap by
    half, at most MAX_WINDOWS of them.
    """
    long, short = max(width, height), min(width, height)
    if long <= MAX_ASPECT_RATIO * short:
        return [(0, 0, width, height)]
    side = min(long, max(short, -(-2 * long // MAX_WINDOWS), STRIDE))
    starts = [*range(0, long - side, side // 2), long - side]
    return [(0, s, width, s + side) if height > width else (s, 0, s + side, height) for s in starts]
