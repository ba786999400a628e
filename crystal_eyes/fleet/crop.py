"""Finds and cuts the heads of labeled illustrations on a cluster."""

import io
import tempfile
from collections.abc import Hashable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image

from crystal_eyes.boxes import as_boxes
from crystal_eyes.data.cropping import crop_head, read_picture
from crystal_eyes.data.layouts import load_dataset
from crystal_eyes.data.left_out import LeftOut
from crystal_eyes.data.shards import HEADS, encode_pictures
from crystal_eyes.detector.cutting import COORDINATES, LABELS, chosen, head_row
from crystal_eyes.detector.runtime import FILE, HeadDetector
from crystal_eyes.fleet.run import FleetRun
from crystal_eyes.fleet.worker import Produced
from crystal_eyes.images import PictureError, flatten
from crystal_eyes.onnx_session import on_gpu

SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("file", "illustration", "artwork", *LABELS)]
    + [(name, pa.float32()) for name in COORDINATES]
)


class Illustration(NamedTuple):
    """One picture of a task."""

    number: int  # among the pictures of the dataset
    row: dict[Hashable, Any]  # path, file, artwork and LABELS
    ambiguous: bool  # labeled with several characters


class CropHeads:
    """Cuts the heads out of the illustrations of one task."""

    def __init__(self, detector: bytes, confidence: float, several: str, gpu: bool = False):
        with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
            file.write(detector)
            file.flush()
            self.detector = HeadDetector(file.name, threads=1, gpu=gpu)
        self.on_gpu = on_gpu(self.detector.session)
        self.confidence, self.several = confidence, several

    def __call__(self, illustrations: list[Illustration]) -> Produced:
        rows: list[dict[str, Any]] = []
        heads: list[bytes] = []
        left_out: LeftOut = []
        found: list[tuple[str, list]] = []
        for number, row, ambiguous in illustrations:
            try:
                picture = np.asarray(flatten(read_picture(row["path"])))
            except PictureError as error:
                left_out.append((row["file"], str(error)))
                continue
            boxes = self.detector.detect(picture, self.confidence or None)[0]
            found.append((row["path"], boxes.tolist()))
            cut, why = chosen(boxes, self.several, ambiguous)
            if why:
                left_out.append((row["file"], why))
            for place, box in enumerate(cut):
                rows.append(head_row(number, place, row, box))
                file = io.BytesIO()
                Image.fromarray(crop_head(picture, box)).save(file, "PNG", compress_level=1)
                heads.append(file.getvalue())
        data = encode_pictures(pa.Table.from_pylist(rows, SCHEMA), heads) if rows else None
        return Produced(data, len(rows), {"left_out": left_out, "found": found})


def crop(
    run: FleetRun, illustrations: Path, detector: Path, confidence: float, several: str
) -> tuple[Path, int, list[tuple[str | Path, np.ndarray]], LeftOut, list[str]]:
    """Cut the heads out of a dataset's illustrations and write them as shards with the illustrations' labels.

    confidence: least confidence of a head; 0: the detector's default. several: see cutting.chosen. Returns the folder of the
    manifest, without one if no head was cut; the number of heads; each readable illustration with the boxes float32 [n, 4]
    found in it; what was left out; how the dataset was understood.
    """
    dataset = load_dataset(illustrations, confidence=0.0)
    pictures = dataset.table.drop_duplicates("path")
    characters = dataset.table.groupby("path")["character"].nunique()
    ambiguous = set(characters[characters > 1].index)
    file = detector / FILE if detector.is_dir() else detector
    HeadDetector(file, threads=1)  # the user hears about a wrong file here, and not from a worker

    def payload(number: int) -> list[Illustration]:
        start = number * run.rows
        rows = pictures.iloc[start : start + run.rows][["path", "file", "artwork", *LABELS]].to_dict("records")
        return [Illustration(start + place, row, row["path"] in ambiguous) for place, row in enumerate(rows)]

    given = {"detector": file.read_bytes(), "confidence": confidence, "several": several}
    sample = str(pictures["path"].iloc[0])
    records = run.do("crop", CropHeads, given, run.tasks_of(len(pictures)), payload, sample, "find heads", gpu=True)
    heads = sum(one.shard.rows for one in records if one.shard)
    if heads:
        run.finish(HEADS, records)
    found: list[tuple[str | Path, np.ndarray]] = [
        (path, as_boxes(boxes)) for one in records for path, boxes in one.notes["found"]
    ]
    left_out = dataset.left_out + [(name, why) for one in records for name, why in one.notes["left_out"]]
    return run.folder, heads, found, left_out, dataset.notes
