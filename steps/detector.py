"""detector: trains a YOLOv5 head detector, exports it to ONNX, and measures it on pictures it never saw."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path

import mlflow
import pandas as pd

from crystal_eyes.boxes import face_to_head
from crystal_eyes.data import cast
from crystal_eyes.data.left_out import summary_lines
from crystal_eyes.detector.runtime import CONFIDENCE, FILE, HeadDetector
from crystal_eyes.detector.training.export import export_onnx, set_image_size
from crystal_eyes.detector.training.heads import read_heads
from crystal_eyes.detector.training.labels import Labelled, read_labels
from crystal_eyes.detector.training.trainer import WEIGHTS, build, dataset, train
from crystal_eyes.errors import UserError
from crystal_eyes.evaluation.detection import Found, average_precision, matches, measure
from crystal_eyes.progress import track
from pipeline.contact_sheets import contact_sheet_of_boxes
from pipeline.parameters.steps import Detector
from pipeline.step import run_step

SIZES = (256, 320, 384, 448, 512, 640)  # px that are tried out
LOSS = 0.01  # of AP50: the smallest size that loses less is chosen
VALIDATION_SCENES, TEST_SCENES = 60, 100
SHOWN = 24  # pictures on a sheet
TRAIN, VALIDATION, TEST = 0, 1, 2  # parts of the cast that share no character


def detector(config: Detector, inputs: Mapping[str, Path | None], workspace: Path) -> dict[str, Path]:
    real, data = read_real(config, inputs), workspace / "data"
    if not real["train"] and not config.scenes:
        raise UserError("nothing to train on: give labels or faces, or scenes above 0")
    if not (data / "train.txt").exists():  # the last of them: an interrupted training goes on with the pictures it had
        write_data(config, inputs, real, data)
    trained = train(data, config, inputs["detector_weights"], workspace, report_epoch(config))
    network = build(config.architecture, trained / WEIGHTS, workspace / "ultralytics")
    export_onnx(network, trained / FILE, {"image_size": "640", "architecture": config.architecture})
    set_image_size(trained / FILE, choose_size(trained, data))
    runner = HeadDetector(trained)
    for part in ("test-scenes", "test-labels"):
        found, name = find(runner, data, part)[0], part.replace("-", "_")
        if found:
            metrics = measure(found, CONFIDENCE)
            mlflow.log_metrics({f"{name}_{metric}": value for metric, value in metrics.items()})
            mlflow.log_image(contact_sheet_of_boxes(worst(data, part, found)), f"{name}.png")
            print(f"{name}: " + ", ".join(f"{metric} {value:.3f}" for metric, value in metrics.items())
                  + f" ({len(found)} pictures, {sum(len(one.truth) for one in found)} heads)")  # fmt: skip
    return {"detector": trained}


def read_real(config: Detector, inputs: Mapping[str, Path | None]) -> dict[str, list[Labelled]]:
    """The labelled pictures by part; faces are heads from here on."""
    found, left_out = [], []
    for name in ("labels", "faces"):
        if inputs[name] is None:
            continue
        labelled, gone = read_labels(inputs[name])
        left_out += gone
        if name == "faces":
            faces, labelled = labelled, [grown(one, margins(config)) for one in labelled]
            some = [pair for pair in zip(faces, labelled) if len(pair[0].boxes)][:12]
            shown = [(*dataset.load(face), dataset.load(head)[1]) for face, head in some]
            mlflow.log_image(contact_sheet_of_boxes(shown), "faces_to_heads.png")
        found += labelled
    for line in summary_lines(left_out):
        print(line)
    if left_out:
        mlflow.log_text(pd.DataFrame(left_out, columns=["file", "why"]).to_csv(index=False), "left_out.csv")
    mlflow.log_metrics({"labelled_pictures": len(found), "labelled_heads": sum(len(one.boxes) for one in found),
                        "labels_left_out": len(left_out)})  # fmt: skip
    if len({one.path.resolve() for one in found}) < len(found):
        raise UserError("labels and faces name the same picture: give each picture's boxes once")
    return dataset.split(found)


def margins(config: Detector) -> tuple[float, float, float, float]:
    try:
        left, top, right, bottom = (float(part) for part in config.face_margins.split(","))
    except ValueError:
        raise UserError(f"parameter face_margins={config.face_margins}: give left,top,right,bottom, four numbers") from None
    return left, top, right, bottom


def grown(one: Labelled, by: tuple[float, float, float, float]) -> Labelled:
    return replace(one, boxes=face_to_head(one.boxes, by, *one.size))


def write_data(config: Detector, inputs: Mapping[str, Path | None], real: dict[str, list[Labelled]], data: Path) -> None:
    drawn = {part: dataset.drawn_heads(part) for part in (TRAIN, VALIDATION, TEST)}
    mlflow.log_text(cast.credits_text(), "credits.txt")
    pasted = drawn[TRAIN]
    if inputs["heads"] is not None:
        heads, left_out = read_heads(inputs["heads"], inputs["labeller"])
        print(f"heads to paste: {len(heads)}; {len(left_out)} left out")
        mlflow.log_metrics({"heads": len(heads), "heads_left_out": len(left_out)})
        pasted = dataset.pictured_heads(heads, pasted)
    loaded = {part: dataset.Loaded(some) for part, some in real.items()}
    ground = dataset.grounds(loaded["train"]) if real["train"] else None

    def pictures(part: str) -> Iterator[dataset.Picture]:
        return ((f"label-{number:06d}", *one) for number, one in enumerate(loaded[part]))

    def composed(count, part, take, ground=None):
        return dataset.scenes(count, "scene", [config.seed if part == TRAIN else 0, part], take, ground)

    dataset.write(data, "test-labels", pictures("test"))
    dataset.write(data, "test-scenes", composed(TEST_SCENES, TEST, drawn[TEST]))
    dataset.write(data, "val", chain(pictures("val"), composed(VALIDATION_SCENES, VALIDATION, drawn[VALIDATION])))
    scenes = track(composed(config.scenes, TRAIN, pasted, ground), config.scenes, "compose scenes", "scenes")
    dataset.write(data, "train", chain(pictures("train"), scenes),
                  lambda name: config.repeat if name.startswith("label-") else 1)  # fmt: skip
    some = dataset.read(data, "train", step=max(1, (len(real["train"]) + config.scenes) // SHOWN))
    mlflow.log_image(
        contact_sheet_of_boxes([(picture, boxes, []) for _, picture, boxes in some][:SHOWN]), "training_pictures.png"
    )


def report_epoch(config: Detector):
    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
        mlflow.log_metrics(metrics, step=epoch)
        print(f"epoch {epoch}/{config.detector_epochs}: " + ", ".join(f"{n} {v:.3f}" for n, v in metrics.items()), flush=True)

    return on_epoch


def choose_size(trained: Path, data: Path) -> int:
    """The smallest input size that loses less than LOSS of AP50 on the validation pictures."""
    rows = []
    for size in SIZES:
        found, milliseconds = find(HeadDetector(trained, size), data, "val")
        rows.append((size, average_precision(found, 0.5), average_precision(found, 0.75), milliseconds))
        mlflow.log_metrics({"size_ap50": rows[-1][1], "size_ap75": rows[-1][2]}, step=size)
    best = max(ap50 for _, ap50, _, _ in rows)
    chosen = next(size for size, ap50, _, _ in rows if ap50 > best - LOSS)
    table = pd.DataFrame(rows, columns=["image_size", "ap50", "ap75", "milliseconds"])
    mlflow.log_text(table.to_csv(index=False), "sizes.csv")
    mlflow.log_metric("image_size", chosen)
    print(f"{table.round(3).to_string(index=False)}\ninput size {chosen}: the smallest that loses less than {LOSS} of AP50")
    return chosen


def find(runner: HeadDetector, data: Path, part: str) -> tuple[list[Found], float]:
    """What is found in each picture of a part, and the milliseconds that a picture took without its loading."""
    found, seconds = [], 0.0
    for _, picture, boxes in dataset.read(data, part):
        start = time.perf_counter()
        answer = runner.detect(picture, 0.01)
        seconds += time.perf_counter() - start
        found.append(Found(boxes, *answer))
    return found, 1000 * seconds / max(len(found), 1)


def worst(data: Path, part: str, found: list[Found]) -> list[tuple]:
    """Pictures, true and found boxes of a sheet: those with most misses and false alarms."""
    sure = [Found(one.truth, one.boxes[one.scores >= CONFIDENCE], one.scores[one.scores >= CONFIDENCE]) for one in found]
    faults = [len(one.truth) + len(one.boxes) - 2 * int(matches(one, 0.5).sum()) for one in sure]
    chosen = set(sorted(range(len(found)), key=lambda i: -faults[i])[:SHOWN])
    pictures = (picture for _, picture, _ in dataset.read(data, part))
    return [(picture, sure[i].truth, sure[i].boxes) for i, picture in enumerate(pictures) if i in chosen]


if __name__ == "__main__":
    run_step("detector", Detector, detector)
