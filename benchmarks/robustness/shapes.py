"""Heads found in pictures of extreme shapes, and what that costs: python benchmarks/robustness/shapes.py DETECTOR [pictures]

For each shape, composes pictures of up to six heads of the cast that don't touch each other, a quarter to nine tenths of the
shorter side large. Prints at confidence 0.4: the heads found (IoU 0.5), further boxes on a head that was found, boxes without a
head, and the CPU seconds of one thread.
"""

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crystal_eyes.boxes import area, intersection, iou
from crystal_eyes.detector.runtime import HeadDetector
from crystal_eyes.detector.training.backgrounds import synthetic_background
from crystal_eyes.detector.training.canvas import CutoutSource, Scene
from crystal_eyes.detector.training.cutouts import cast_cutouts

SHAPES = ((9000, 500), (500, 9000), (3000, 700), (800, 20_000), (20_000, 800), (31, 900), (40, 2000), (2500, 400),
          (1, 100_000), (50, 20_000), (8000, 8000), (1000, 1000))  # fmt: skip
HEADS = 6
MIN_IOU = 0.5


def compose(rng: np.random.Generator, draw: CutoutSource, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """A uint8 RGB picture and the float32 [n, 4] boxes of its heads."""
    scene = Scene(synthetic_background(rng, width, height))
    short = min(width, height)
    taken: list[tuple[float, float, float]] = []
    for _ in range(HEADS * 5 if short >= 24 else 0):
        side = short * rng.uniform(0.25, 0.9)
        x, y = rng.uniform(side / 2, width - side / 2), rng.uniform(side / 2, height - side / 2)
        if len(taken) < HEADS and all(max(abs(x - a), abs(y - b)) > 0.7 * (side + s) for a, b, s in taken):
            taken.append((x, y, side))
            scene.paste(draw(rng), (x, y), side, rng.normal(0, 8), rng.random() < 0.5)
    return scene.picture, scene.visible_boxes()


def score(found: np.ndarray, heads: np.ndarray) -> tuple[int, int, int]:
    """Heads found, further boxes on a head that was found, boxes without a head."""
    hits = (iou(found, heads) >= MIN_IOU).any(axis=0)
    inside = intersection(found, heads) >= 0.5 * np.minimum(area(found)[:, None], area(heads)[None, :])
    twice = np.clip(inside.sum(axis=0) - 1, 0, None).sum()
    return int(hits.sum()), int(twice), int((~inside.any(axis=1)).sum())


def main(detector: HeadDetector, pictures: int) -> None:
    draw = cast_cutouts(2)
    print("| shape | heads | found | twice | false | CPU s: median (maximum) |\n|---|---|---|---|---|---|")
    for width, height in SHAPES:
        counts, heads, seconds = np.zeros(3, int), 0, []
        for number in range(pictures):
            picture, boxes = compose(np.random.default_rng([width, height, number]), draw, width, height)
            start = time.process_time()
            found, _ = detector.detect(picture, 0.4)
            seconds.append(time.process_time() - start)
            counts += score(found, boxes)
            heads += len(boxes)
        print(
            f"| {width} x {height} | {heads} | {' | '.join(map(str, counts))} | {np.median(seconds):.2f} ({max(seconds):.2f}) |"
        )


if __name__ == "__main__":
    main(HeadDetector(sys.argv[1], threads=1), int(sys.argv[2]) if len(sys.argv) > 2 else 10)
