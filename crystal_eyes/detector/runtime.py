"""Runs a head detector: ONNX in, boxes out. Needs numpy and onnxruntime; nothing of ultralytics."""

from pathlib import Path

import numpy as np

from crystal_eyes.boxes import area, clip, nms
from crystal_eyes.detector.resizing import resize
from crystal_eyes.errors import UserError
from crystal_eyes.onnx_session import open_session

FILE = "detector.onnx"
KIND = "crystal-eyes head detector"  # what its metadata says
CONFIDENCE = 0.4  # of heads that are worth cutting out
NMS_IOU = 0.6
STRIDE, GREY = 32, 114  # of the network; of the padding
MOST_WINDOWS = 100  # of a strip: one of a single row of pixels would have thousands
LONGEST_RATIO = 3.0  # a longer strip is looked at in overlapping windows


class HeadDetector:
    """Finds the heads of drawn characters in pictures."""

    def __init__(self, path: str | Path, image_size: int | None = None, threads: int | None = None):
        """path: the file, or the folder that holds it as FILE. image_size: longer side that the network sees, pixels, a
        multiple of 32; None: as the file says. threads: None: as many as there are cores. Raises UserError: no such detector.
        """
        path = Path(path)
        path = path / FILE if path.is_dir() else path
        try:
            self.session = open_session(path.read_bytes(), threads)
        except Exception as error:  # the runtime has its own exceptions
            reason = str(error).splitlines()[0]
            raise UserError(f"detector {path} can't be read ({reason}): give what the entry point detector wrote") from None
        said = self.session.get_modelmeta().custom_metadata_map
        if said.get("kind") != KIND:
            raise UserError(f"{path} is no head detector: give what the entry point detector wrote")
        self.image_size = image_size or int(said["image_size"])

    def detect(
        self, picture: np.ndarray, confidence: float = CONFIDENCE, nms_iou: float = NMS_IOU
    ) -> tuple[np.ndarray, np.ndarray]:
        """Heads in a uint8 RGB [h, w, 3] picture: float32 [n, 4] boxes inside it, and float32 [n] confidences, best first.

        A strip more than three times as long as wide is looked at in overlapping windows, or its heads would be specks.
        """
        height, width = picture.shape[:2]
        found_boxes, found_scores = [], []
        for left, top, right, bottom in windows(width, height):
            boxes, scores = self._window(picture[top:bottom, left:right], confidence, nms_iou)
            # a head cut by a window's inner edge is whole in the next window
            inner = ((boxes[:, 0] < 1) & (left > 0)) | ((boxes[:, 1] < 1) & (top > 0))
            inner |= ((boxes[:, 2] > right - left - 1) & (right < width)) | (
                (boxes[:, 3] > bottom - top - 1) & (bottom < height)
            )
            found_boxes.append(boxes[~inner] + np.array([left, top, left, top], np.float32))
            found_scores.append(scores[~inner])
        if len(found_boxes) == 1:
            return found_boxes[0], found_scores[0]
        boxes, scores = np.concatenate(found_boxes), np.concatenate(found_scores)
        keep = nms(boxes, scores, nms_iou)  # a head in the overlap of two windows was found twice
        return boxes[keep], scores[keep]

    def _window(self, picture: np.ndarray, confidence: float, nms_iou: float) -> tuple[np.ndarray, np.ndarray]:
        height, width = picture.shape[:2]
        padded, scales, (left, top) = letterbox(picture, self.image_size)
        raw = self.session.run(None, {"pictures": padded[None]})[0][0]  # [5, anchors]: middle, sides, confidence
        raw = raw[:, raw[4] > confidence]
        boxes, scores = np.concatenate([raw[:2] - raw[2:4] / 2, raw[:2] + raw[2:4] / 2]).T, raw[4]
        keep = nms(boxes, scores, nms_iou)  # before they are clipped, as in training
        boxes = clip(
            (boxes[keep] - np.array([left, top, left, top], np.float32)) / np.array(scales * 2, np.float32), width, height
        )
        some = area(boxes) > 0
        return boxes[some], scores[keep][some]


def letterbox(picture: np.ndarray, size: int) -> tuple[np.ndarray, tuple[float, float], tuple[int, int]]:
    """The picture scaled so that its longer side is `size`, padded with grey to multiples of STRIDE; as ultralytics does.

    Returns uint8 [h, w, 3], the scales across and down (sides are whole pixels), and the padding at the left and at the top.
    """
    height, width = picture.shape[:2]
    scale = size / max(height, width)
    new = max(1, round(width * scale)), max(1, round(height * scale))
    if new != (width, height):
        picture = resize(picture, *new)
    across, down = ((-side % STRIDE) / 2 for side in new)
    left, right, top, bottom = (round(v) for v in (across - 0.1, across + 0.1, down - 0.1, down + 0.1))
    padded = np.pad(picture, ((top, bottom), (left, right), (0, 0)), constant_values=GREY)
    return padded, (new[0] / width, new[1] / height), (left, top)


def windows(width: int, height: int) -> list[tuple[int, int, int, int]]:
    """Left, top, right, bottom of the parts that are looked at: the picture, but of a strip squares that overlap by half."""
    long, short = max(width, height), min(width, height)
    if long <= LONGEST_RATIO * short:
        return [(0, 0, width, height)]
    side = min(long, max(short, -(-2 * long // MOST_WINDOWS), 32))
    starts = [*range(0, long - side, side // 2), long - side]
    return [(0, s, width, s + side) if height > width else (s, 0, s + side, height) for s in starts]
