"""crop: finds the heads in labelled illustrations and writes them as a dataset of head pictures."""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from PIL import Image

from crystal_eyes.boxes import as_boxes
from crystal_eyes.data.cropping import crop_head
from crystal_eyes.data.layouts import read_dataset
from crystal_eyes.data.left_out import summary_lines
from crystal_eyes.detector.runtime import HeadDetector
from crystal_eyes.errors import UserError
from crystal_eyes.images import PictureError, flatten, open_picture
from crystal_eyes.progress import track
from pipeline.contact_sheets import contact_sheet_of_boxes
from pipeline.parameters.steps import Crop
from pipeline.step import run_step

LABELS = ["character", "series", "set", "split"]
SHOWN = 24  # pictures on the sheet


def crop(config: Crop, inputs: Mapping[str, Path | None], workspace: Path) -> dict[str, Path]:
    table, left_out = read_dataset(inputs["illustrations"], confidence=0.0)
    runner, out = HeadDetector(inputs["detector"]), workspace / "heads"
    out.mkdir(exist_ok=True)
    pictures = table.drop_duplicates("path")
    several_labels = set(table.groupby("path")["character"].nunique().loc[lambda n: n > 1].index)
    shown, rows, heads = [], [], Counter()
    done = Found(workspace / "found.jsonl")
    for number, row in enumerate(track(pictures.itertuples(), len(pictures), "find heads", "pictures")):
        try:
            picture = np.asarray(flatten(open_picture(Path(row.path).read_bytes())))
        except PictureError as error:
            left_out.append((row.file, str(error)))
            continue
        boxes = done.get(row.path)
        if boxes is None:
            boxes = done.put(row.path, runner.detect(picture, config.least_confidence)[0])
        heads[min(len(boxes), 2)] += 1
        if len(shown) < SHOWN:
            scale = min(1.0, 640 / max(picture.shape[:2]))
            small = Image.fromarray(picture).resize([max(1, round(side * scale)) for side in picture.shape[1::-1]])
            shown.append((np.asarray(small), [], boxes * scale))
        if row.path in several_labels:
            left_out.append((row.file, "several characters are named for it: which head is whose is unknown"))
        elif not len(boxes):
            left_out.append((row.file, "no head found"))
        elif len(boxes) > 1 and config.several == "leave-out":
            left_out.append(
                (row.file, f"several heads found under one label ({len(boxes)}); -P several=largest|all keeps them")
            )
        else:
            for place, box in enumerate(chosen(boxes, config.several)):
                name = f"{number:06d}-{place}.png"
                Image.fromarray(crop_head(picture, box)).save(out / name, compress_level=1)
                rows.append({"file": name, "illustration": row.file, "artwork": row.artwork or row.file,
                             **{label: getattr(row, label) for label in LABELS},
                             **dict(zip(("left", "top", "right", "bottom"), np.round(box, 1)))})  # fmt: skip
    report(config, heads, rows, left_out, shown)
    pd.DataFrame(rows).to_csv(out / "manifest.csv", index=False, quoting=csv.QUOTE_MINIMAL)
    return {"heads": out}


def chosen(boxes: np.ndarray, several: str) -> np.ndarray:
    """The boxes that are cut out: all of them, or the largest."""
    if several == "all":
        return boxes
    sides = boxes[:, 2:] - boxes[:, :2]
    return boxes[[sides.prod(axis=1).argmax()]]


def report(config: Crop, heads: Counter, rows: list[dict], left_out: list[tuple[str, str]], shown: list[tuple]) -> None:
    mlflow.log_metrics({"heads": len(rows), "pictures_without_head": heads[0], "pictures_with_one_head": heads[1],
                        "pictures_with_several_heads": heads[2], "left_out": len(left_out)})  # fmt: skip
    mlflow.log_text(pd.DataFrame(left_out, columns=["file", "why"]).to_csv(index=False), "left_out.csv")
    if shown:
        mlflow.log_image(contact_sheet_of_boxes(shown), "found_heads.png")
    for line in summary_lines(left_out):
        print(line)
    if not rows:
        raise UserError(f"no head was cut from {config.illustrations}: lower least_confidence, or give another detector")
    print(f"{len(rows)} heads from {heads.total()} pictures; {heads[0]} without a head, {heads[2]} with several")


class Found:
    """Boxes of pictures looked at already: an interrupted run goes on after them."""

    def __init__(self, path: Path):
        self.path = path
        self.known = dict(self._lines()) if path.exists() else {}

    def _lines(self) -> Iterator[tuple[str, list]]:
        for line in self.path.read_text("utf-8").splitlines():
            try:
                yield tuple(json.loads(line))
            except ValueError:  # the line that the interruption cut
                return

    def get(self, picture: str) -> np.ndarray | None:
        return as_boxes(self.known[picture]) if picture in self.known else None

    def put(self, picture: str, boxes: np.ndarray) -> np.ndarray:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([picture, boxes.round(2).tolist()]) + "\n")
        return boxes


if __name__ == "__main__":
    run_step("crop", Crop, crop)
