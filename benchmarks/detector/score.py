"""Everything that a new detector must not lose: accuracy by input size and head size, head crops, panoramas, patterns.

    python benchmarks/detector/score.py DETECTOR [DETECTOR ...] --labels FOLDER [FOLDER ...] [--characters FOLDER] [--json FILE]

Only what benchmarks/gpu/detector_pack.py leaves out is used: the fixed test third of each folder of labels (pictures named
NAME_line are reported apart), and heads of sets and characters that are not packed. With --part val, only accuracy on the
pictures that a detector is chosen with.
"""

import argparse
import csv
import json
import random
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.detector.corrections import corrected
from benchmarks.gpu.detector_pack import TEST_SETS, part_of
from benchmarks.robustness.shapes import compose, score
from crystal_eyes.detector.runtime import HeadDetector
from crystal_eyes.detector.training.annotated_pictures import load, split
from crystal_eyes.detector.training.backgrounds import interface, pattern
from crystal_eyes.detector.training.canvas import Scene
from crystal_eyes.detector.training.cutouts import cast_cutouts
from crystal_eyes.detector.training.input_size import run_detector
from crystal_eyes.detector.training.labels import read_labels
from crystal_eyes.detector.training.placing import rows_of_motifs
from crystal_eyes.detector.training.scenes import compose_scenes
from crystal_eyes.evaluation.detection import (
    PictureDetections,
    average_precision,
    detection_metrics,
    precision_recall_curve,
    true_positives,
)
from crystal_eyes.images import flatten, open_picture
from crystal_eyes.recognizer.finding import find_heads

SIZES = (320, 384, 448, 512, 640, 768)
CONFIDENCES = (0.4, 0.5, 0.55, 0.6)
HEAD_SIDES = (0, 50, 100, 200, 10_000)  # pixels of the longer side, in the picture
OTHER_HEADS = 400  # of the characters that are left out
SHAPES = ((9000, 500), (500, 9000), (3000, 700))


class LabeledPicture(NamedTuple):
    """uint8 RGB [h, w, 3], the boxes of its label and of its corrected label, float32 [n, 4]."""

    pixels: np.ndarray
    boxes: np.ndarray
    corrected: np.ndarray


def labeled(folders: list[Path], part: str) -> dict[str, list[LabeledPicture]]:
    found: dict[str, list[LabeledPicture]] = {}
    for folder in folders:
        boxes = {one.file: one for one in corrected(folder)}
        for one in split(read_labels(folder)[0])[part]:
            name = f"{folder.name}, lines" if one.path.stem.endswith("_line") else folder.name
            found.setdefault(name, []).append(LabeledPicture(*load(one), load(boxes[one.file])[1]))
    return found


def best_confidence(detector: HeadDetector, folders: list[Path]) -> dict[str, str]:
    """The confidence with the best F1 on validation pictures, and the range within half a point of it."""
    composed = compose_scenes(60, "scene", [0, 1], cast_cutouts(1))
    validation = {
        "labeled": [load(one) for folder in folders for one in split(read_labels(folder)[0])["val"]],
        "composed": [(picture, boxes) for _, picture, boxes in composed],
    }
    rows = {}
    for name, pictures in validation.items():
        scores, precision, recall = precision_recall_curve(run_detector(detector, pictures)[0])
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
        good = scores[f1 > f1.max() - 0.005]
        heads = sum(len(boxes) for _, boxes in pictures)
        best = f"{scores[f1.argmax()]:.3f} (F1 {f1.max():.3f}); {good.min():.3f} to {good.max():.3f}"
        rows[f"{name}, {heads} heads"] = best
    return rows


def recall_by_side(detections: list[PictureDetections], confidence: float) -> dict[str, str]:
    """Of the heads of each range of sizes: found of all."""
    counts = {side: [0, 0] for side in HEAD_SIDES[1:]}
    for one in detections:
        confident = one.above(confidence)
        sides = (one.truth[:, 2:] - one.truth[:, :2]).max(axis=1, initial=0)
        for side, box in zip(sides, one.truth):
            bucket = counts[min(limit for limit in HEAD_SIDES[1:] if side < limit)]
            alone = PictureDetections(box[None], confident.boxes, confident.scores)
            bucket[0] += int(true_positives(alone, 0.5).any())
            bucket[1] += 1
    return {f"below {limit} px": f"{found}/{of}" for limit, (found, of) in counts.items()}


def accuracy(path: str, pictures: dict[str, list[LabeledPicture]]) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for size in SIZES:
        detector = HeadDetector(path, size)
        found: dict[str, list[PictureDetections]] = {}
        times: dict[str, np.ndarray] = {}
        for name, some in pictures.items():
            found[name], times[name] = run_detector(detector, [(one.pixels, one.boxes) for one in some])
        found["all"] = [one for name in pictures for one in found[name]]
        boxes = [one.corrected for name in pictures for one in pictures[name]]
        found["all, corrected labels"] = [one._replace(truth=truth) for one, truth in zip(found["all"], boxes)]
        times["all"] = times["all, corrected labels"] = np.concatenate([times[name] for name in pictures])
        for name, detections in found.items():
            row = {"ap50": average_precision(detections, 0.5), "ap75": average_precision(detections, 0.75)}
            for confidence in CONFIDENCES:
                metrics = detection_metrics(detections, confidence)
                row[f"p{confidence}"], row[f"r{confidence}"] = metrics["precision"], metrics["recall"]
            row["ms"] = float(np.median(times[name]))
            rows[f"{name} @ {size}"] = row | recall_by_side(detections, detector.confidence)
    return rows


def head_crops(folder: Path) -> dict[str, list[Path]]:
    """Files of heads that are not packed, by set; those of packed sets together."""
    rng, crops, others = random.Random(1), {}, []
    with (folder / "manifest.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["set"] in TEST_SETS:
                crops.setdefault(row["set"], []).append(folder / row["file"])
            elif part_of(f"{row['series']}/{row['character']}") == "test":
                others.append(folder / row["file"])
    return {**crops, "others": rng.sample(others, min(OTHER_HEADS, len(others)))}


def unanswered(detector: HeadDetector, crops: dict[str, list[Path]], cut: float) -> dict[str, str]:
    """In how many head pictures no head is found. cut: share of the sides that is cut off around each."""
    rows, total = {}, np.zeros(3, int)
    for name, files in crops.items():
        counts = np.zeros(3, int)
        for file in files:
            picture = np.asarray(flatten(open_picture(file.read_bytes())))
            height, width = picture.shape[:2]
            y, x = round(cut * height), round(cut * width)
            heads = find_heads(detector, np.ascontiguousarray(picture[y : height - y, x : width - x]))
            counts += [not heads, len(heads) > 1, 1]
        rows[name] = f"{counts[0]} none, {counts[1]} several, of {counts[2]}"
        total += counts
    return {**rows, "all": f"{total[0]} none, {total[1]} several, of {total[2]} ({100 * total[0] / total[2]:.1f} % none)"}


def false_heads(detector: HeadDetector) -> str:
    """In pictures of patterns and of programs' windows, and in rows of drawn things."""
    counts = []
    for number in range(300):
        rng = np.random.default_rng([99, number])
        if number < 200:
            picture = (pattern if number % 2 else interface)(rng, 640, 480)
        else:
            scene = Scene(np.full((480, 640, 3), rng.integers(0, 256, 3), np.uint8))
            rows_of_motifs(scene, rng)
            picture = scene.picture
        counts.append(len(detector.detect(picture)[0]))
    kinds = {"patterns and windows": counts[:200], "drawn things": counts[200:]}
    return "; ".join(
        f"{name}: {sum(some)} boxes in {sum(count > 0 for count in some)} of {len(some)} pictures"
        for name, some in kinds.items()
    )


def panoramas(detector: HeadDetector) -> dict[str, str]:
    rows, draw = {}, cast_cutouts(2)
    for width, height in SHAPES:
        counts, heads = np.zeros(3, int), 0
        for number in range(5):
            picture, boxes = compose(np.random.default_rng([width, height, number]), draw, width, height)
            counts += score(detector.detect(picture)[0], boxes)
            heads += len(boxes)
        rows[f"{width} x {height}"] = f"{counts[0]}/{heads} found, {counts[1]} twice, {counts[2]} false"
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("detectors", nargs="+")
    parser.add_argument("--labels", type=Path, nargs="+", required=True)
    parser.add_argument("--characters", type=Path)
    parser.add_argument("--part", choices=("test", "val"), default="test")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    pictures, results = labeled(given.labels, given.part), {}
    for name, some in pictures.items():
        heads = sum(len(one.boxes) for one in some), sum(len(one.corrected) for one in some)
        print(f"{name}: {len(some)} pictures, {heads[0]} heads, {heads[1]} by corrected labels")
    for path in given.detectors:
        rows = accuracy(path, pictures)
        print(f"\n{path}, recall by size at confidence {HeadDetector(path).confidence}")
        for name, row in rows.items():
            print(
                f"{name:28}",
                "  ".join(f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items()),
            )
        results[path] = rows
        if given.part == "val":
            continue
        detector = HeadDetector(path)
        more = {
            "best confidence": best_confidence(detector, given.labels),
            "false heads": false_heads(detector),
            **panoramas(detector),
        }
        if given.characters:
            crops = head_crops(given.characters)
            more |= {f"crops, {cut:.0%} cut off": unanswered(detector, crops, cut) for cut in (0.0, 0.12)}
        print(json.dumps(more, indent=1), flush=True)
        results[path] = rows | more
    if given.json:
        given.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
