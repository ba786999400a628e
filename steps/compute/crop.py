"""Finds the heads in labeled illustrations and writes them as a dataset of head pictures."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from crystal_eyes.boxes import as_boxes
from crystal_eyes.data.cropping import crop_head, read_picture
from crystal_eyes.data.layouts import load_dataset
from crystal_eyes.data.left_out import LeftOut
from crystal_eyes.detector.cutting import chosen, head_row
from crystal_eyes.detector.runtime import HeadDetector
from crystal_eyes.images import PictureError, flatten
from crystal_eyes.progress import track


@dataclass(frozen=True)
class CroppedHeads:
    """The dataset that was written, how many heads it holds, each readable illustration with the boxes float32 [n, 4] found in
    it, and what was left out, as (file, why). notes: how the illustrations' dataset was understood.
    """

    folder: Path
    heads: int
    found: list[tuple[str | Path, np.ndarray]]
    left_out: LeftOut
    notes: list[str] = field(default_factory=list)


def crop(illustrations: Path, detector: Path, confidence: float, several: str, workspace: Path) -> CroppedHeads:
    """Cut the heads out of the illustrations of a dataset and write them with the illustrations' labels.

    confidence: least confidence of a head; 0: the detector's default. several: see cutting.chosen. An interrupted run
    continues from workspace.
    """
    dataset = load_dataset(illustrations, confidence=0.0)
    table, left_out = dataset.table, dataset.left_out
    runner, folder = HeadDetector(detector), workspace / "heads"
    folder.mkdir(exist_ok=True)
    pictures = table.drop_duplicates("path")
    characters = table.groupby("path")["character"].nunique()
    ambiguous = set(characters[characters > 1].index)
    known = BoxCache(workspace / "found.jsonl")
    found: list[tuple[str | Path, np.ndarray]] = []
    rows = []
    for number, row in enumerate(track(pictures.to_dict("records"), len(pictures), "find heads", "pictures")):
        try:
            picture = np.asarray(flatten(read_picture(row["path"])))
        except PictureError as error:
            left_out.append((row["file"], str(error)))
            continue
        boxes = known.get(row["path"])
        if boxes is None:
            boxes = runner.detect(picture, confidence or None)[0]
            known.put(row["path"], boxes)
        found.append((Path(row["path"]), boxes))
        cut, why = chosen(boxes, several, row["path"] in ambiguous)
        if why:
            left_out.append((row["file"], why))
        for place, box in enumerate(cut):
            rows.append(head_row(number, place, row, box))
            Image.fromarray(crop_head(picture, box)).save(folder / rows[-1]["file"], compress_level=1)
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False, quoting=csv.QUOTE_MINIMAL)
    return CroppedHeads(folder, len(rows), found, left_out, dataset.notes)


class BoxCache:
    """Boxes of pictures that were searched already, as a file of JSON lines: an interrupted run continues after them."""

    def __init__(self, path: Path):
        self.path = path
        self.known = dict(self._lines()) if path.exists() else {}

    def _lines(self) -> Iterator[tuple[str, list[list[float]]]]:
        for line in self.path.read_text("utf-8").splitlines():
            try:
                picture, boxes = json.loads(line)
            except ValueError:  # the last line, cut by the interruption
                return
            yield picture, boxes

    def get(self, picture: str) -> np.ndarray | None:
        """float32 [n, 4], exactly as they were put."""
        return as_boxes(self.known[picture]) if picture in self.known else None

    def put(self, picture: str, boxes: np.ndarray) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([picture, boxes.tolist()]) + "\n")
