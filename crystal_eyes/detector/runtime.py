"""Runs a head detector: ONNX in, boxes out. Needs only numpy and onnxruntime."""

from pathlib import Path

import numpy as np

from crystal_eyes.boxes import area, as_boxes, clip, nms
from crystal_eyes.detector.calibration import ENTRY, Calibration
from crystal_eyes.detector.defaults import CONFIDENCE, HIGH, NMS_IOU, NORMAL, UNCALIBRATED_CONFIDENCE
from crystal_eyes.detector.resizing import resize
from crystal_eyes.detector.strips import Window, is_cut, merge, windows
from crystal_eyes.detector.tiles import LARGEST, OVERLAP, SIDE, tiles
from crystal_eyes.errors import UserError
from crystal_eyes.onnx_session import open_session

FILE = "detector.onnx"
KIND = "crystal-eyes head detector"  # metadata of every detector file
STRIDE = 32  # pixels: sides of the network's input are multiples of it
GRAY = 114  # value of the padding, as in ultralytics
MAX_ENLARGEMENT = 2.0  # of a window of a strip: enlarged more, heads are blurred and missed, and each costs more
BATCH = 8  # windows in one run of the network, fewer where they are larger: more take more memory and are not faster


class HeadDetector:
    """Finds the heads of drawn characters in pictures."""

    def __init__(self, path: str | Path, image_size: int | None = None, threads: int | None = None, gpu: bool = False):
        """path: the file, or the folder that holds it as FILE. image_size: longer side of the network's input in pixels, a
        multiple of STRIDE; None: the one stored in the file. threads: None: one per core. gpu: as open_session.

        Raises UserError: the file is unreadable or not a Crystal Eyes head detector.
        """
        path = Path(path)
        path = path / FILE if path.is_dir() else path
        try:
            self.session = open_session(path.read_bytes(), threads, gpu)
        except Exception as error:  # onnxruntime has its own exceptions
            raise UserError(f"detector {path} can't be read: {str(error).splitlines()[0]}") from None
        metadata = self.session.get_modelmeta().custom_metadata_map
        if metadata.get("kind") != KIND:
            raise UserError(f"{path} is not a Crystal Eyes head detector")
        self.image_size = image_size or int(metadata["image_size"])
        self.calibration: Calibration | None = None  # None: confidences are the network's own numbers
        if ENTRY in metadata:
            try:
                self.calibration = Calibration.parse(metadata[ENTRY])
            except ValueError:
                raise UserError(f"detector {path} can't be used: its calibration {metadata[ENTRY]!r} is not valid") from None
        self.confidence = CONFIDENCE if self.calibration else UNCALIBRATED_CONFIDENCE  # minimum of a head

    def confidence_of(self, output: float) -> float:
        """The confidence of a box to which the network gives that number."""
        return float(self.calibration(np.array([output]))[0]) if self.calibration else output

    def detect(
        self, picture: np.ndarray, confidence: float | None = None, nms_iou: float = NMS_IOU, detail: str = NORMAL
    ) -> tuple[np.ndarray, np.ndarray]:
        """Heads in a uint8 RGB [h, w, 3] picture: float32 [n, 4] boxes inside it and float32 [n] confidences, highest first.

        A confidence is the probability that the box is a head, if the detector is calibrated. confidence: only heads above it;
        None: the detector's default. nms_iou: of two boxes that overlap more, the less confident one is dropped.
        detail: NORMAL searches the picture as a whole; HIGH also in at most tiles.MAX_TILES overlapping tiles, for small heads.
        A strip, more than strips.MAX_ASPECT_RATIO times as long as wide, is searched in overlapping windows: scaled down as a
        whole, its heads would be too small. There are at most strips.MAX_WINDOWS of them, whatever the picture; HIGH shows them
        to the network in more pixels.
        """
        confidence = self.confidence if confidence is None else confidence
        height, width = picture.shape[:2]
        whole = (0, 0, width, height)
        parts, pixel = windows(width, height), np.inf
        if parts == [whole]:
            found = self._detect_in_parts([picture], self.image_size, confidence, nms_iou)
            if detail != HIGH:
                return found[0]
            more, size = tiles(width, height)
            found += self._search(picture, more, size, confidence, nms_iou)
            parts, pixel = [whole, *more], longer_side(more[0]) / size  # of the input, in pixels of the picture
        else:
            longest = SIDE if detail == HIGH else self.image_size
            size = min(longest, round_up(MAX_ENLARGEMENT * longer_side(parts[0]))) if parts else 0
            found = self._search(picture, parts, size, confidence, nms_iou)
        part = np.repeat(as_boxes(parts), [len(scores) for _, scores in found], axis=0)  # of each box
        boxes = np.concatenate([as_boxes([]), *(boxes for boxes, _ in found)]) + np.tile(part[:, :2], 2)
        scores = np.concatenate([np.zeros(0, np.float32), *(scores for _, scores in found)])
        rank, side = is_cut(boxes, part, width, height).astype(int), (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
        in_whole = (part == whole).all(axis=1)
        rank[in_whole & (side > OVERLAP * pixel)] = -1
        rows = np.flatnonzero(in_whole | (side <= LARGEST * pixel))
        keep = rows[merge(boxes[rows], scores[rows], rank[rows], nms_iou)]
        return boxes[keep], scores[keep]

    def _search(
        self, picture: np.ndarray, parts: list[Window], size: int, confidence: float, nms_iou: float
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Boxes in pixels of each part, equally large parts of the picture, and confidences. size: as for _detect_in_parts."""
        found: list[tuple[np.ndarray, np.ndarray]] = []
        batch = max(1, min(BATCH, BATCH * self.image_size**2 // max(1, size**2)))
        for start in range(0, len(parts), batch):
            some = [picture[top:bottom, left:right] for left, top, right, bottom in parts[start : start + batch]]
            found += self._detect_in_parts(some, size, confidence, nms_iou)
        return found

    def _detect_in_parts(
        self, parts: list[np.ndarray], size: int, confidence: float, nms_iou: float
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Boxes and confidences of each part, in one run. parts: pictures of one shape; size: longer side of the input."""
        height, width = parts[0].shape[:2]
        padded, scales, pads = zip(*(letterbox(part, size) for part in parts))
        (left, top), found = pads[0], []
        for raw in self.session.run(None, {"pictures": np.stack(padded)})[0]:  # [5, anchors]: center x, y, sides, confidence
            scores = self.calibration(raw[4]) if self.calibration else raw[4]
            raw, scores = raw[:4, scores > confidence], scores[scores > confidence]
            boxes = np.concatenate([raw[:2] - raw[2:] / 2, raw[:2] + raw[2:] / 2]).T
            keep = nms(boxes, scores, nms_iou)  # before clipping, as in training
            boxes = clip(
                (boxes[keep] - np.array([left, top, left, top], np.float32)) / np.array(scales[0] * 2, np.float32),
                width,
                height,
            )
            visible = area(boxes) > 0
            found.append((boxes[visible], scores[keep][visible]))
        return found


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


def longer_side(part: Window) -> int:
    """Pixels."""
    left, top, right, bottom = part
    return max(right - left, bottom - top)


def round_up(side: float) -> int:
    """The next multiple of STRIDE."""
    return -(-int(side) // STRIDE) * STRIDE
