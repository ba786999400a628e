"""detector: trains a YOLOv5 head detector, exports it to ONNX, and evaluates it on unseen pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd

from crystal_eyes.boxes import as_boxes
from crystal_eyes.data import cast
from crystal_eyes.data.left_out import summary_lines
from crystal_eyes.detector.defaults import UNCALIBRATED_CONFIDENCE
from crystal_eyes.detector.training import yolo_dataset
from crystal_eyes.detector.training.annotated_pictures import load
from crystal_eyes.detector.training.input_size import MAX_LOSS
from crystal_eyes.errors import UserError
from crystal_eyes.evaluation.detection import PictureDetections, detection_metrics, true_positives
from pipeline.contact_sheets import contact_sheet_of_boxes
from pipeline.parameters.steps import Detector
from pipeline.step import run_step
from steps.compute.detector import LabeledData, Margins, TrainedDetector, read_labeled, train_detector, write_data

SHOWN = 24  # pictures on a contact sheet
SHOWN_FACES = 12


def detector(parameters: Detector, inputs: Mapping[str, Path], workspace: Path) -> dict[str, Path]:
    data = workspace / "data"
    options = parameters.options()
    labeled = read_labeled(inputs.get("labels"), inputs.get("faces"), margins(parameters.face_margins))
    report_labels(labeled)
    if not labeled.parts["train"] and not parameters.scenes:
        raise UserError("nothing to train on: give labels or faces, or scenes above 0")
    pasted = write_data(
        data, labeled, inputs.get("heads"), inputs.get("labeller"), parameters.scenes, parameters.repeat, parameters.seed
    )
    mlflow.log_text(cast.credits_text(), "credits.txt")
    if pasted is not None:
        print(f"heads to paste: {pasted.used}; {pasted.left_out} left out")
        mlflow.log_metrics({"heads": pasted.used, "heads_left_out": pasted.left_out})
    step = max(1, (len(labeled.parts["train"]) + parameters.scenes) // SHOWN)
    some = [(picture.pixels, picture.boxes, as_boxes([])) for picture in yolo_dataset.read(data, "train", step)]
    mlflow.log_image(contact_sheet_of_boxes(some[:SHOWN]), "training_pictures.png")

    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
        mlflow.log_metrics(metrics, step=epoch)
        print(f"epoch {epoch}/{options.epochs}: " + ", ".join(f"{n} {v:.3f}" for n, v in metrics.items()), flush=True)

    trained = train_detector(data, options, inputs.get("detector_weights"), workspace, on_epoch)
    report_sizes(trained)
    report_tests(trained, data)
    return {"detector": trained.folder}


def margins(text: str) -> Margins:
    """The parameter face_margins as numbers. Raises UserError."""
    try:
        left, top, right, bottom = (float(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"parameter face_margins={text}: give four numbers as left,top,right,bottom") from None
    return left, top, right, bottom


def report_labels(labeled: LabeledData) -> None:
    shown = [(*load(face), load(head)[1]) for face, head in labeled.faces_and_heads if len(face.boxes)][:SHOWN_FACES]
    if shown:
        mlflow.log_image(contact_sheet_of_boxes(shown), "faces_to_heads.png")
    for line in summary_lines(labeled.left_out):
        print(line)
    if labeled.left_out:
        mlflow.log_text(pd.DataFrame(labeled.left_out, columns=["file", "why"]).to_csv(index=False), "left_out.csv")
    pictures = [picture for part in labeled.parts.values() for picture in part]
    heads = sum(len(picture.boxes) for picture in pictures)
    mlflow.log_metrics(
        {"labelled_pictures": len(pictures), "labelled_heads": heads, "labels_left_out": len(labeled.left_out)}
    )  # spelled as in existing stores


def report_sizes(trained: TrainedDetector) -> None:
    for result in trained.sizes:
        mlflow.log_metrics({"size_ap50": result.ap50, "size_ap75": result.ap75}, step=result.image_size)
    table = pd.DataFrame(trained.sizes)
    mlflow.log_text(table.to_csv(index=False), "sizes.csv")
    mlflow.log_metric("image_size", trained.image_size)
    print(table.round(3).to_string(index=False))
    print(f"input size {trained.image_size}: the smallest that loses less than {MAX_LOSS} of AP50")


def report_tests(trained: TrainedDetector, data: Path) -> None:
    for part, detections in trained.tests.items():
        if not detections:
            continue
        name, metrics = part.replace("-", "_"), detection_metrics(detections, UNCALIBRATED_CONFIDENCE)
        mlflow.log_metrics({f"{name}_{metric}": value for metric, value in metrics.items()})
        mlflow.log_image(contact_sheet_of_boxes(worst(data, part, detections)), f"{name}.png")
        values = ", ".join(f"{metric} {value:.3f}" for metric, value in metrics.items())
        print(f"{name}: {values} ({len(detections)} pictures, {sum(len(one.truth) for one in detections)} heads)")


def worst(data: Path, part: str, detections: Sequence[PictureDetections]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pixels, true boxes and detected boxes of the SHOWN pictures with most misses and false alarms."""
    confident = [picture.above(UNCALIBRATED_CONFIDENCE) for picture in detections]
    mistakes = [len(one.truth) + len(one.boxes) - 2 * int(true_positives(one, 0.5).sum()) for one in confident]
    chosen = set(sorted(range(len(mistakes)), key=lambda i: -mistakes[i])[:SHOWN])
    pictures = enumerate(yolo_dataset.read(data, part))
    return [(picture.pixels, confident[i].truth, confident[i].boxes) for i, picture in pictures if i in chosen]


if __name__ == "__main__":
    run_step("detector", Detector, detector)
