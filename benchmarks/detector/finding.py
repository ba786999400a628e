"""What users get from a detector: crowds at both details, head crops of 48 pixels, and pictures that are no heads.

    python benchmarks/detector/finding.py DETECTOR --labels FOLDER [FOLDER ...] [--characters FOLDER]

All of it is made of what benchmarks/gpu/detector_pack.py leaves out: the test third of the labels, cast heads of the test part,
heads of sets and characters that are not packed. Head crops of other sizes: score.py.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.detector.score import head_crops
from benchmarks.robustness.shapes import score
from crystal_eyes.boxes import area, as_boxes, intersection
from crystal_eyes.data.cropping import MARGIN
from crystal_eyes.detector.defaults import DETAILS
from crystal_eyes.detector.runtime import HeadDetector
from crystal_eyes.detector.training.annotated_pictures import load, split
from crystal_eyes.detector.training.backgrounds import interface, pattern, synthetic_background
from crystal_eyes.detector.training.canvas import CutoutSource, Scene
from crystal_eyes.detector.training.cutouts import cast_cutouts
from crystal_eyes.detector.training.labels import read_labels
from crystal_eyes.images import flatten, open_picture
from crystal_eyes.recognizer.finding import CROP_SIDE, FILL_SHARE, find_heads

CAST_CROWDS = ((2000, 1400, 20, 90, 40, 6), (4000, 3000, 32, 200, 60, 4))  # width, height, smallest, largest, heads, pictures
SHEETS = ((4, 12, 400), (5, 20, 250))  # labeled pictures in a row and on a sheet, pixels of each
CROP = 48  # pixels of the longer side
OTHERS = 240  # pictures of patterns, windows and backgrounds
Pictures = list[tuple[np.ndarray, np.ndarray]]  # uint8 RGB [h, w, 3] and boxes float32 [n, 4]


def cast_crowd(
    draw: CutoutSource, number: int, width: int, height: int, low: int, high: int, heads: int
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([7, number])
    scene = Scene(synthetic_background(rng, width, height))
    taken: list[tuple[float, float, float]] = []
    for _ in range(heads * 6):
        side = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        x, y = rng.uniform(side, width - side), rng.uniform(side, height - side)
        if len(taken) < heads and all(max(abs(x - a), abs(y - b)) > 0.6 * (side + other) for a, b, other in taken):
            taken.append((x, y, side))
            scene.paste(draw(rng), (x, y), side, rng.normal(0, 8), rng.random() < 0.5)
    return scene.picture, scene.visible_boxes()


def sheet(pictures: Pictures, columns: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Labeled pictures side by side, each in a square."""
    rows, boxes = -(-len(pictures) // columns), [as_boxes([])]
    page = np.full((rows * side, columns * side, 3), 235, np.uint8)
    for number, (picture, heads) in enumerate(pictures):
        scale = side / max(picture.shape[:2])
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:side, :side]
        y, x = number // columns * side, number % columns * side
        page[y : y + small.shape[0], x : x + small.shape[1]] = small
        boxes.append(heads * np.float32(scale) + np.array([x, y, x, y], np.float32))
    return page, np.concatenate(boxes)


def crowds(labeled: Pictures) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    draw = cast_cutouts(2, characters=200)
    for width, height, low, high, heads, count in CAST_CROWDS:
        for number in range(count):
            yield (
                f"cast, {width} x {height}, heads of {low} to {high} px",
                *cast_crowd(draw, width + number, width, height, low, high, heads),
            )
    shuffled = [labeled[place] for place in np.random.default_rng(3).permutation(len(labeled))]
    for columns, count, side in SHEETS:
        for start in range(0, len(shuffled) - count + 1, count):
            yield f"sheets of {count} labeled pictures, {side} px each", *sheet(shuffled[start : start + count], columns, side)
    for one in shuffled:
        yield "labeled pictures, one at a time", *one


def measure_crowds(detector: HeadDetector, labeled: Pictures) -> None:
    rows: dict[tuple[str, str], tuple[np.ndarray, list[float]]] = {}
    for name, picture, boxes in crowds(labeled):
        for detail in DETAILS:
            counts, seconds = rows.setdefault((name, detail), (np.zeros(4, int), []))
            start = time.process_time()
            found, _ = detector.detect(picture, detail=detail)
            seconds.append(time.process_time() - start)
            counts += [len(boxes), *score(found, boxes)]
    print("| pictures | detail | heads | found | twice | false | CPU s: median (maximum) |\n|---|---|---|---|---|---|---|")
    for (name, detail), (counts, seconds) in rows.items():
        print(f"| {name} | {detail} | {' | '.join(map(str, counts))} | {np.median(seconds):.3f} ({max(seconds):.3f}) |")


def resized(picture: np.ndarray, side: int) -> np.ndarray:
    scale = side / max(picture.shape[:2])
    width, height = (max(1, round(one * scale)) for one in picture.shape[1::-1])
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))


def headless_part(rng: np.random.Generator, picture: np.ndarray, boxes: np.ndarray) -> np.ndarray | None:
    """A square of a fifth to three fifths of a labeled picture's shorter side that shows no head."""
    height, width = picture.shape[:2]
    for _ in range(400):
        side = int(rng.uniform(0.2, 0.6) * min(height, width))
        x, y = rng.integers(0, width - side + 1), rng.integers(0, height - side + 1)
        shared = intersection(as_boxes([[x, y, x + side, y + side]]), boxes)[0]
        if (shared < 0.1 * np.minimum(area(boxes), side * side)).all():
            return np.ascontiguousarray(picture[y : y + side, x : x + side])
    return None


def measure_others(detector: HeadDetector, labeled: Pictures) -> None:
    """Pictures of the size of head crops that are none."""
    rng = np.random.default_rng(5)
    parts = [part for one in labeled if (part := headless_part(rng, *one)) is not None]
    drawn = {draw.__name__: [] for draw in (pattern, interface, synthetic_background)}
    for number in range(OTHERS):
        rng, draw = np.random.default_rng([99, number]), (pattern, interface, synthetic_background)[number % 3]
        side = int(rng.integers(CROP, CROP_SIDE))
        drawn[draw.__name__].append(draw(rng, side, max(16, int(side * rng.uniform(0.7, 1)))))
    for name, pictures in {"parts without a head of labeled pictures": parts, **drawn}.items():
        found = [find_heads(detector, picture) for picture in pictures]
        whole = [heads[0].confidence for heads in found if heads and heads[0].whole_picture]
        faint = sum(confidence <= detector.confidence for confidence in whole)
        print(f"{name}: of {len(found)}, {len(whole)} taken for a head crop, {faint} of these as a faint one; "
              f"{sum(map(bool, found)) - len(whole)} with other boxes")  # fmt: skip
    wrong = 0
    for picture, boxes in labeled:  # whole figures, as small as head crops
        small = resized(picture, min(CROP_SIDE, max(picture.shape[:2])))
        heads = find_heads(detector, small)
        longest = (boxes[:, 2:] - boxes[:, :2]).max(initial=0) / max(picture.shape[:2]) * (1 + 2 * MARGIN)
        if heads and heads[0].whole_picture and longest < 0.8 * FILL_SHARE:
            wrong += 1
    print(f"labeled pictures of at most {CROP_SIDE} px: of {len(labeled)}, {wrong} taken for a head crop whose heads are small")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("detector", type=Path)
    parser.add_argument("--labels", type=Path, nargs="+", required=True)
    parser.add_argument("--characters", type=Path)
    given = parser.parse_args()
    detector = HeadDetector(given.detector, threads=1)
    labeled = [load(one) for folder in given.labels for one in split(read_labels(folder)[0])["test"]]
    measure_others(detector, labeled)
    if given.characters:
        files = [file for some in head_crops(given.characters).values() for file in some]
        crops = (resized(np.asarray(flatten(open_picture(file.read_bytes()))), CROP) for file in files)
        none = sum(not find_heads(detector, crop) for crop in crops)
        print(f"head crops of {CROP} px: {none} of {len(files)} without an answer", flush=True)
    measure_crowds(detector, labeled)


if __name__ == "__main__":
    main()
