"""Accuracy and time of one or more detectors by input size.

    python benchmarks/detector/run.py LABELS DETECTOR [DETECTOR ...]

LABELS: pictures with boxes of heads (only the fixed third for testing is used), or `scenes`: 100 composed ones of cast
characters that are never used for training. Time: decoded pictures one after the other, from letterbox to boxes.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crystal_eyes.detector.runtime import HeadDetector
from crystal_eyes.detector.training.annotated_pictures import load, split
from crystal_eyes.detector.training.cutouts import cast_cutouts
from crystal_eyes.detector.training.input_size import SIZES, run_detector
from crystal_eyes.detector.training.labels import read_labels
from crystal_eyes.detector.training.scenes import compose_scenes
from crystal_eyes.evaluation.detection import detection_metrics, precision_recall_curve


def pictures_to_search(labels: str) -> list[tuple[np.ndarray, np.ndarray]]:
    if labels == "scenes":
        return [(picture, boxes) for _, picture, boxes in compose_scenes(100, "scene", [0, 2], cast_cutouts(2))]
    return [load(picture) for picture in split(read_labels(labels)[0])["test"]]


def main(labels: str, detectors: list[str]) -> None:
    pictures = pictures_to_search(labels)
    heads = sum(len(boxes) for _, boxes in pictures)
    print(f"{labels}: {len(pictures)} pictures, {heads} heads; precision and recall at the default confidence")
    for path in detectors:
        # one session at a time: waiting threads of another one would take its core
        results = {size: run_detector(HeadDetector(path, size), pictures) for size in SIZES}
        detector = HeadDetector(path)
        print(f"{path} (chosen size {detector.image_size}, default confidence {detector.confidence})")
        print("size   AP50   AP75  50-95   prec.   rec.  recall at precision 0.95, ms: median (5 % to 95 %)")
        for size, (detections, milliseconds) in results.items():
            metrics = detection_metrics(detections, detector.confidence)
            _, precision, recall = precision_recall_curve(detections)
            best = recall[precision >= 0.95].max(initial=0)
            values = [*(metrics[name] for name in ("ap50", "ap75", "map50_95", "precision", "recall")), best]
            low, median, high = np.percentile(milliseconds, (5, 50, 95))
            print(f"{size:4}  " + "  ".join(f"{value:.3f}" for value in values) + f"  {median:.1f} ({low:.1f} to {high:.1f})")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
