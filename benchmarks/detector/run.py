"""Input size against accuracy and time, of one or more detectors side by side.

    python benchmarks/detector/run.py LABELS DETECTOR [DETECTOR ...]

LABELS: pictures with boxes of heads (only their fixed third for testing is used), or `scenes`: 100 composed
ones of a cast that no training sees. Time: one picture after the other, decoded before, from letterbox to boxes.
"""

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crystal_eyes.detector.runtime import CONFIDENCE, HeadDetector
from crystal_eyes.detector.training import dataset
from crystal_eyes.detector.training.labels import read_labels
from crystal_eyes.evaluation.detection import Found, curve, measure

SIZES = (256, 320, 384, 448, 512, 640)


def pictures(labels: str) -> list[tuple[np.ndarray, np.ndarray]]:
    if labels == "scenes":
        return [one[1:] for one in dataset.scenes(100, "scene", [0, 2], dataset.drawn_heads(2))]
    return [dataset.load(one) for one in dataset.split(read_labels(labels)[0])["test"]]


def main(labels: str, detectors: list[str]) -> None:
    test = pictures(labels)
    heads = sum(len(boxes) for _, boxes in test)
    print(f"{labels}: {len(test)} pictures, {heads} heads; precision and recall at confidence {CONFIDENCE}")
    for path in detectors:
        found, seconds = {}, {}
        for size in SIZES:  # one session at a time: the waiting threads of another one would take its core
            runner, found[size], seconds[size] = HeadDetector(path, size), [], []
            for picture, boxes in test:
                start = time.perf_counter()
                answer = runner.detect(picture, 0.01)
                seconds[size].append(time.perf_counter() - start)
                found[size].append(Found(boxes, *answer))
        print(f"{path} (chosen size {HeadDetector(path).image_size})")
        print("size   AP50   AP75  50-95   prec.   rec.  recall at precision 0.95, ms: median (5 % to 95 %)")
        for size in SIZES:
            m = measure(found[size], CONFIDENCE)
            _, precision, recall = curve(found[size])
            best = recall[precision >= 0.95].max(initial=0)
            low, middle, high = np.percentile(1000 * np.array(seconds[size]), (5, 50, 95))
            times = f"{middle:.1f} ({low:.1f} to {high:.1f})"
            values = (m["ap50"], m["ap75"], m["map50_95"], m["precision"], m["recall"], best)
            print(f"{size:4}  " + "  ".join(f"{value:.3f}" for value in values) + f"  {times}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
