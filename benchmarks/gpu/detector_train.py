"""Train a detector from a folder that detector_pack.py wrote, on a machine without network, for so many minutes.

    python PACK/code/detector_train.py --pack PACK --minutes 8 --out OUT [--processes 7] [--weights models/head-detector]

Composes scenes with all processes for at most a quarter of the time, then trains on the GPU (on the CPU if there is none).
OUT gets best.safetensors (the epoch that is best on validation pictures), last.safetensors and report.json (curves).
benchmarks/detector/score.py measures them after `python benchmarks/gpu/detector_train.py --export WEIGHTS FOLDER`.
"""

import argparse
import io
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(next(folder for folder in Path(__file__).resolve().parents if (folder / "crystal_eyes").is_dir())))

import cv2
import numpy as np
from PIL import Image

from crystal_eyes.detector.training import yolo_dataset
from crystal_eyes.detector.training.annotated_pictures import backgrounds
from crystal_eyes.detector.training.canvas import Cutout
from crystal_eyes.detector.training.effects import with_soft_edge, without_surroundings
from crystal_eyes.detector.training.scenes import compose
from crystal_eyes.progress import track

VALIDATION_REPEAT = 3  # how often validation counts a labeled picture
VALIDATION_SCENES = 120
CAST_SHARE = 0.12  # of the pasted heads
COMPOSING_SHARE = 0.25  # of the time, at most
RESERVE = 35  # seconds for the last validation and for writing
SOURCES: dict[str, dict[str, list]] = {}  # by part and kind; worker processes inherit it


def read_sources(pack: Path) -> None:
    """Fill SOURCES: pictures as (uint8 RGB, float32 boxes), heads, cast and objects as cutouts."""
    for part in ("train", "val"):
        SOURCES[part] = {kind: [] for kind in ("picture", "head", "cast", "object")}
    with zipfile.ZipFile(pack / "sources.zip") as packed:
        for record in json.loads(packed.read("sources.json")):
            picture = Image.open(io.BytesIO(packed.read(record["file"])))
            boxes, some = np.array(record["boxes"], np.float32).reshape(-1, 4), SOURCES[record["part"]]
            if record["kind"] == "picture":
                some["picture"].append((np.asarray(picture.convert("RGB")), boxes))
                continue
            pixels = np.asarray(picture.convert("RGBA"))
            box = boxes[0].tolist() if len(boxes) else (0, 0, pixels.shape[1], pixels.shape[0])
            some[record["kind"]].append(Cutout(pixels, tuple(box)))
    SOURCES["val"]["object"] = SOURCES["train"]["object"]


def segmented(place: tuple[str, int]) -> Cutout | None:
    """The opaque head at that place without its surroundings, where that works."""
    head = SOURCES[place[0]]["head"][place[1]]
    return without_surroundings(head) if (head.picture[..., 3] > 127).mean() > 0.98 else None


class Drawing:
    """Draws from the sources of a part, with the random generator that it is called with."""

    def __init__(self, part: str):
        self.sources = SOURCES[part]
        self.background = backgrounds(self.sources["picture"])

    def cutout(self, rng: np.random.Generator) -> Cutout:
        """A head to paste: of the cast, transparent, cut out by its colors, with a soft edge, or rarely as it is."""
        if rng.random() < CAST_SHARE:
            return self.sources["cast"][int(rng.integers(len(self.sources["cast"])))]
        number = int(rng.integers(len(self.sources["head"])))
        head, alone = self.sources["head"][number], self.sources["segmented"][number]
        if (head.picture[..., 3] > 127).mean() <= 0.98:
            return head if rng.random() < 0.8 else with_soft_edge(head, rng)
        if alone is not None and rng.random() < 0.6:
            return alone
        return with_soft_edge(head, rng) if rng.random() < 0.9 else head

    def head(self, rng: np.random.Generator) -> Cutout:
        """A picture of one head as it is."""
        kind = "head" if rng.random() < 0.94 else "cast"
        return self.sources[kind][int(rng.integers(len(self.sources[kind])))]

    def object(self, rng: np.random.Generator) -> Cutout:
        """Something that is no head: an object, or a part of a labeled picture that shows no head, with a soft edge."""
        if rng.random() < 0.55:
            return self.sources["object"][int(rng.integers(len(self.sources["object"])))]
        for _ in range(10):
            picture, boxes = self.sources["picture"][int(rng.integers(len(self.sources["picture"])))]
            height, width = picture.shape[:2]
            w, h = (int(min(height, width) * side) for side in rng.uniform(0.12, 0.5, 2))
            x, y = int(rng.integers(0, width - w)), int(rng.integers(0, height - h))
            apart = (boxes[:, 0] >= x + w) | (boxes[:, 2] <= x) | (boxes[:, 1] >= y + h) | (boxes[:, 3] <= y)
            if apart.all():
                part = np.dstack([picture[y : y + h, x : x + w], np.full((h, w), 255, np.uint8)])
                return with_soft_edge(Cutout(part, (w / 8, h / 8, w * 7 / 8, h * 7 / 8)), rng)
        return self.sources["object"][int(rng.integers(len(self.sources["object"])))]


def compose_one(task: tuple[str, str, int]) -> str:
    """Compose a scene of that part and number and write it to the folder; returns its name."""
    folder, part, number = task
    rng, draw = np.random.default_rng([7, part == "val", number]), Drawing(part)
    name = f"scene-{number:06d}"
    picture, boxes = compose(rng, draw.cutout, draw.background, draw.head, draw.object)
    yolo_dataset.write_picture(Path(folder), part, yolo_dataset.TrainingPicture(name, picture, boxes))
    return name


def write_data(folder: Path, scenes: int, processes: int, seconds: float, repeat: int) -> None:
    """Write labeled pictures and as many composed scenes as are ready after that time.

    repeat: how often an epoch shows a labeled picture.
    """
    start, context = time.monotonic(), multiprocessing.get_context("fork")
    cv2.setNumThreads(1)
    for part in ("train", "val"):
        with context.Pool(processes) as pool:
            places = [(part, number) for number in range(len(SOURCES[part]["head"]))]
            SOURCES[part]["segmented"] = pool.map(segmented, places, 16)
        named = []
        for number, (picture, boxes) in enumerate(SOURCES[part]["picture"]):
            named.append((f"label-{number:06d}", repeat if part == "train" else VALIDATION_REPEAT))
            yolo_dataset.write_picture(folder, part, yolo_dataset.TrainingPicture(named[-1][0], picture, boxes))
        tasks = [(str(folder), part, number) for number in range(scenes if part == "train" else VALIDATION_SCENES)]
        with context.Pool(processes) as pool:  # forked again: it has the segmented heads
            done = pool.imap_unordered(compose_one, tasks, 8)
            for name in track(done, len(tasks), f"compose scenes ({part})", "scenes"):
                named.append((name, 1))
                if part == "train" and time.monotonic() - start > seconds:
                    break
        yolo_dataset.write_list(folder, part, sorted(named))
        print(f"{part}: {len(named)} pictures after {time.monotonic() - start:.0f} s", flush=True)


def find_weights(pack: Path) -> Path | None:
    """models/head-detector of the checkout that holds the pack or the current folder."""
    for folder in (pack, *pack.parents, Path.cwd(), *Path.cwd().parents):
        if (folder / "models/head-detector/detector.safetensors").is_file():
            return folder / "models/head-detector"
    return None


def export(weights: Path, folder: Path, architecture: str, image_size: int, box_scale: float) -> None:
    """Write the detector with these weights as ONNX and safetensors. box_scale: see scale_boxes."""
    from crystal_eyes.detector.runtime import FILE
    from crystal_eyes.detector.training.export import export_onnx
    from crystal_eyes.detector.training.trainer import build
    from crystal_eyes.detector.training.weights import WEIGHTS, scale_boxes

    folder.mkdir(parents=True, exist_ok=True)
    scale_boxes(weights, folder / WEIGHTS, box_scale)
    with tempfile.TemporaryDirectory() as settings:
        network = build(architecture, folder / WEIGHTS, Path(settings))
    export_onnx(network, folder / FILE, {"image_size": str(image_size), "architecture": architecture})


def main() -> None:
    started = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", type=Path)
    parser.add_argument("--minutes", type=float, default=8, help="all in all")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--processes", type=int, default=7)
    parser.add_argument("--scenes", type=int, default=12000)
    parser.add_argument("--weights", type=Path, help="initial weights; by default models/head-detector, where there is one")
    parser.add_argument("--from-scratch", action="store_true", help="with random initial weights")
    parser.add_argument("--architecture", default="yolov5n")
    parser.add_argument("--image-size", type=int, default=576)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--multi-scale", type=float, default=0.4, help="how far batches are scaled, as a share")
    parser.add_argument("--repeat", type=int, default=10, help="how often an epoch shows a labeled picture")
    parser.add_argument("--no-circles", action="store_true", help="don't draw random circles over heads")
    parser.add_argument(
        "--work", type=Path, help="folder for pictures and checkpoints: with it, an interrupted training resumes"
    )
    parser.add_argument("--export", type=Path, nargs=2, metavar=("WEIGHTS", "FOLDER"), help="only export weights to ONNX")
    parser.add_argument("--box-scale", type=float, default=1.0, help="of an export: factor for the sides of all boxes")
    given = parser.parse_args()
    if given.export:
        export(*given.export, given.architecture, given.image_size, given.box_scale)
        return
    if given.pack is None or given.out is None:
        parser.error("--pack and --out are needed")
    given.out.mkdir(parents=True, exist_ok=True)
    read_sources(given.pack)
    with tempfile.TemporaryDirectory() as temporary:
        work = (given.work or Path(temporary)).resolve()
        if not (work / "data" / "val.txt").exists():  # written last
            seconds = 60 * COMPOSING_SHARE * given.minutes
            write_data(work / "data", given.scenes, given.processes, seconds, given.repeat)
        train(given, work, started)


def train(given: argparse.Namespace, work: Path, started: float) -> None:
    # imported once scenes are composed: the processes that compose them don't need torch
    import torch

    from crystal_eyes.detector.training.options import DetectorTrainingOptions
    from crystal_eyes.detector.training.trainer import train as train_detector
    from crystal_eyes.detector.training.weights import WEIGHTS, save_checkpoint

    initial = None if given.from_scratch else given.weights or find_weights(given.pack.resolve())
    print(f"initial weights: {initial}", flush=True)
    left = given.minutes - (time.monotonic() - started + RESERVE) / 60
    options = DetectorTrainingOptions(
        architecture=given.architecture, image_size=given.image_size, multi_scale=given.multi_scale, epochs=16,
        minutes=max(0.2, left),
        batch_size=given.batch_size, learning_rate=given.learning_rate, circles=not given.no_circles,
    )  # fmt: skip
    report: dict[str, Any] = {
        "torch": torch.__version__, "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "options": vars(options), "initial": initial is not None, "epochs": [],
    }  # fmt: skip
    run = work / "run"

    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
        seconds = round(time.monotonic() - started)
        report["epochs"].append({"epoch": epoch, "seconds": seconds, **{name: round(v, 4) for name, v in metrics.items()}})
        print(json.dumps(report["epochs"][-1]), flush=True)
        replace_file(given.out / "report.json", json.dumps(report, indent=1).encode())
        last = run / "run" / "weights" / "last.pt"
        if last.exists():  # kept at each epoch: the machine may be taken away
            shutil.rmtree(work / "last", ignore_errors=True)
            save_checkpoint(last, work / "last", given.architecture)
            replace_file(given.out / "last.safetensors", (work / "last" / WEIGHTS).read_bytes())

    folder = train_detector(work / "data", options, initial, run, on_epoch, workers=given.processes)
    replace_file(given.out / "best.safetensors", (folder / WEIGHTS).read_bytes())
    print(f"done after {time.monotonic() - started:.0f} s", flush=True)


def replace_file(path: Path, data: bytes) -> None:
    incomplete = path.with_suffix(".part")
    incomplete.write_bytes(data)
    os.replace(incomplete, path)


if __name__ == "__main__":
    main()
