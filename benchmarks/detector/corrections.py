"""Corrected boxes of labeled pictures, kept apart from the labels: benchmarks/detector/corrections.json.

{folder name: {file: [[left, top, right, bottom], ...]}}, pixels, all heads of the picture, by the rule of the labels: top of
the hair to the chin, hair outline from crown to mouth at the sides. Test pictures in it were corrected without a look at what a
detector finds in them, where a label misses the rule by far.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np

from crystal_eyes.boxes import as_boxes, clip
from crystal_eyes.detector.training.annotated_pictures import AnnotatedPicture
from crystal_eyes.detector.training.labels import read_labels

FILE = Path(__file__).with_name("corrections.json")


def corrections(folder: Path) -> dict[str, np.ndarray]:
    """By file: float32 [n, 4], of the folder with that name; empty where it has none."""
    return {file: as_boxes(boxes) for file, boxes in json.loads(FILE.read_text()).get(folder.resolve().name, {}).items()}


def corrected(folder: Path) -> list[AnnotatedPicture]:
    """What read_labels returns, with the corrected boxes. Raises ValueError where a corrected picture is missing."""
    pictures, boxes = read_labels(folder)[0], corrections(folder)
    if missing := set(boxes) - {one.file for one in pictures}:
        raise ValueError(f"{FILE.name} corrects pictures that {folder} does not contain, such as {min(missing)}")
    return [dataclasses.replace(one, boxes=clip(boxes[one.file], *one.size)) if one.file in boxes else one for one in pictures]
