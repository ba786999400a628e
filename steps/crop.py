"""crop: finds the heads in labeled illustrations and writes them as a dataset of head pictures."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from PIL import Image

from crystal_eyes.boxes import as_boxes
from crystal_eyes.data.left_out import summary_lines
from crystal_eyes.data.storage import read_bytes
from crystal_eyes.detector.cutting import LEAVE_OUT
from crystal_eyes.errors import UserError
from crystal_eyes.images import flatten, open_picture
from pipeline.contact_sheets import contact_sheet_of_boxes
from pipeline.parameters.base import RAY
from pipeline.parameters.steps import Crop
from pipeline.step import run_step
from steps.compute import crop as compute
from steps.compute.crop import CroppedHeads

SHOWN, SHOWN_SIDE = 24, 640  # pictures on the contact sheet; pixels of their longer side


def crop(parameters: Crop, inputs: Mapping[str, Path], workspace: Path) -> dict[str, Path]:
    given = inputs["illustrations"], inputs["detector"], parameters.least_confidence, parameters.several
    if parameters.engine == RAY:
        from crystal_eyes.fleet import crop as fleet
        from crystal_eyes.fleet.run import FleetRun

        with FleetRun(parameters.address, parameters.shards, workspace, "heads") as run:
            cropped = CroppedHeads(*fleet.crop(run, *given))
    else:
        cropped = compute.crop(*given, workspace)
    report(parameters, cropped)
    if not cropped.heads:
        raise UserError(
            f"no head was cropped from {parameters.illustrations}: lower least_confidence, or give another detector"
        )
    return {"heads": cropped.folder}


def report(parameters: Crop, cropped: CroppedHeads) -> None:
    counts = Counter(min(len(boxes), 2) for _, boxes in cropped.found)
    mlflow.log_metrics({"heads": cropped.heads, "pictures_without_head": counts[0], "pictures_with_one_head": counts[1],
                        "pictures_with_several_heads": counts[2], "left_out": len(cropped.left_out)})  # fmt: skip
    mlflow.log_text(pd.DataFrame(cropped.left_out, columns=["file", "why"]).to_csv(index=False), "left_out.csv")
    if cropped.found:
        mlflow.log_image(contact_sheet_of_boxes([shown(*picture) for picture in cropped.found[:SHOWN]]), "found_heads.png")
    for line in [*cropped.notes, *summary_lines(cropped.left_out)]:
        print(line)
    if counts[2] and parameters.several == LEAVE_OUT:
        print("use -P several=largest or -P several=all to keep pictures with several heads")
    if cropped.heads:
        print(f"{cropped.heads} heads from {counts.total()} pictures; {counts[0]} without a head, {counts[2]} with several")


def shown(path: str | Path, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture for the contact sheet, small; no true boxes; the found ones."""
    picture = flatten(open_picture(read_bytes(path)))
    scale = min(1.0, SHOWN_SIDE / max(picture.size))
    width, height = (max(1, round(side * scale)) for side in picture.size)
    return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC)), as_boxes([]), boxes * scale


if __name__ == "__main__":
    run_step("crop", Crop, crop)
