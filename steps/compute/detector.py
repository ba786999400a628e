"""Trains a YOLOv5 head detector on labeled pictures and composed scenes, exports it, and runs it on unseen pictures."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np

from crystal_eyes.boxes import face_to_head
from crystal_eyes.data.left_out import LeftOut
from crystal_eyes.detector.runtime import FILE, HeadDetector
from crystal_eyes.detector.training import yolo_dataset
from crystal_eyes.detector.training.annotated_pictures import AnnotatedPicture, LazyPictures, backgrounds, split
from crystal_eyes.detector.training.canvas import CutoutSource
from crystal_eyes.detector.training.cutouts import cast_cutouts, mixed_cutouts, read_head_pictures
from crystal_eyes.detector.training.export import export_onnx, set_image_size
from crystal_eyes.detector.training.input_size import SIZES, SizeResult, compare_sizes, run_detector, smallest_sufficient
from crystal_eyes.detector.training.labels import read_labels
from crystal_eyes.detector.training.options import DetectorTrainingOptions
from crystal_eyes.detector.training.scenes import compose_scenes
from crystal_eyes.detector.training.trainer import build, train
from crystal_eyes.detector.training.weights import WEIGHTS
from crystal_eyes.errors import UserError
from crystal_eyes.evaluation.detection import PictureDetections
from crystal_eyes.progress import track

TRAIN, VALIDATION, TEST = 0, 1, 2  # parts of the cast; they share no character
VALIDATION_SCENES, TEST_SCENES = 60, 100
TEST_PARTS = ("test-scenes", "test-labels")
LABELED = "label-"  # names of labeled pictures in the training data start with it
Margins = tuple[float, float, float, float]


@dataclass(frozen=True)
class LabeledData:
    """Labeled pictures by part (test, val, train), the face labels among them with the heads grown from them, what was left
    out.
    """

    parts: dict[str, list[AnnotatedPicture]]
    faces_and_heads: list[tuple[AnnotatedPicture, AnnotatedPicture]]
    left_out: LeftOut


@dataclass(frozen=True)
class PastedHeads:
    """How many head pictures the scenes are composed of, and how many were left out."""

    used: int
    left_out: int


@dataclass(frozen=True)
class TrainedDetector:
    """The folder with the ONNX file and the weights, how it does at each input size, the chosen size in pixels, and its
    detections in each test part, in the order of yolo_dataset.read.
    """

    folder: Path
    sizes: list[SizeResult]
    image_size: int
    tests: dict[str, list[PictureDetections]]


def read_labeled(labels: Path | None, faces: Path | None, face_margins: Margins) -> LabeledData:
    """Read labels of heads and labels of faces, which become heads. Raises UserError where they are unusable."""
    pictures: list[AnnotatedPicture] = []
    faces_and_heads: list[tuple[AnnotatedPicture, AnnotatedPicture]] = []
    left_out: LeftOut = []
    if labels is not None:
        pictures, left_out = read_labels(labels)
    if faces is not None:
        labeled_faces, faces_left_out = read_labels(faces)
        heads = [replace(face, boxes=face_to_head(face.boxes, face_margins, *face.size)) for face in labeled_faces]
        faces_and_heads = list(zip(labeled_faces, heads))
        pictures, left_out = pictures + heads, left_out + faces_left_out
    seen: set[Path] = set()
    for picture in pictures:
        if picture.path.resolve() in seen:
            raise UserError(f"{picture.file} is in both labels and faces: list each picture in one of them")
        seen.add(picture.path.resolve())
    return LabeledData(split(pictures), faces_and_heads, left_out)


def write_data(
    data: Path, labeled: LabeledData, heads: Path | None, labeler: Path | None, scenes: int, repeat: int, seed: int,
    validation_scenes: int = VALIDATION_SCENES, test_scenes: int = TEST_SCENES,
) -> PastedHeads | None:  # fmt: skip
    """Write the pictures for training, validation and test. If they are complete, an interrupted training run reuses them.

    heads, labeler: see read_head_pictures. scenes: how many to train on. repeat: how often an epoch shows a labeled picture.
    Returns None where no head pictures were read.
    """
    if (data / "train.txt").exists():  # the last file that is written
        return None
    cast = {part: cast_cutouts(part) for part in (TRAIN, VALIDATION, TEST)}
    draw_cutout, pasted = cast[TRAIN], None
    if heads is not None:
        head_pictures, left_out = read_head_pictures(heads, labeler)
        draw_cutout = mixed_cutouts(head_pictures, draw_cutout)
        pasted = PastedHeads(len(head_pictures), len(left_out))
    pictures = {part: LazyPictures(some) for part, some in labeled.parts.items()}
    draw_background = backgrounds(pictures["train"]) if labeled.parts["train"] else None

    def labeled_part(part: str) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        return ((f"{LABELED}{number:06d}", *picture) for number, picture in enumerate(pictures[part]))

    def cast_scenes(count: int, part: int, source: CutoutSource) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        return compose_scenes(count, "scene", [0, part], source)

    yolo_dataset.write(data, "test-labels", labeled_part("test"))
    yolo_dataset.write(data, "test-scenes", cast_scenes(test_scenes, TEST, cast[TEST]))
    validation = cast_scenes(validation_scenes, VALIDATION, cast[VALIDATION])
    yolo_dataset.write(data, "val", chain(labeled_part("val"), validation))
    composed = compose_scenes(scenes, "scene", [seed, TRAIN], draw_cutout, draw_background)
    training = chain(labeled_part("train"), track(composed, scenes, "compose scenes", "scenes"))
    yolo_dataset.write(data, "train", training, lambda name: repeat if name.startswith(LABELED) else 1)
    return pasted


def train_detector(
    data: Path, options: DetectorTrainingOptions, initial: Path | None, workspace: Path,
    on_epoch: Callable[[int, dict[str, float]], None], sizes: tuple[int, ...] = SIZES,
) -> TrainedDetector:  # fmt: skip
    """Train on what write_data wrote, export to ONNX, choose the input size on the validation part, run on the test parts.

    initial: weights to start from, or None. on_epoch: see trainer.train. sizes: candidates, pixels.
    """
    folder = train(data, options, initial, workspace, on_epoch)
    network = build(options.architecture, folder / WEIGHTS, workspace / "ultralytics")
    export_onnx(network, folder / FILE, {"image_size": str(max(sizes)), "architecture": options.architecture})

    def read(part: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return ((picture.pixels, picture.boxes) for picture in yolo_dataset.read(data, part))

    results = compare_sizes(folder, lambda: read("val"), sizes)
    image_size = smallest_sufficient(results)
    set_image_size(folder / FILE, image_size)
    detector = HeadDetector(folder)
    return TrainedDetector(folder, results, image_size, {part: run_detector(detector, read(part))[0] for part in TEST_PARTS})
