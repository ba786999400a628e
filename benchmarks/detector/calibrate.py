"""Calibrate a detector: fit the probability that a box is a head, store it in the file, and show how well it holds.

    python benchmarks/detector/calibrate.py DETECTOR --labels FOLDER [FOLDER ...] [--bundle BUNDLE]

To run again for each new detector. Fitted on the test third of the labels (score.py; nine tenths of the weight) and on 60
composed scenes of cast heads (a tenth): pictures that neither train a detector nor select its epoch, on which it is too sure of
itself. So that the figures for the test third hold for other pictures, each half of it is measured with a calibration fitted
without it: reliability by bins of confidence, and precision and recall. --bundle: also put the calibrated detector into this
bundle.
"""

import argparse
import hashlib
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crystal_eyes.detector.fit_calibration import MIN_IOU, fit, store
from crystal_eyes.detector.runtime import FILE, HeadDetector
from crystal_eyes.detector.training.annotated_pictures import AnnotatedPicture, load, split
from crystal_eyes.detector.training.cutouts import cast_cutouts
from crystal_eyes.detector.training.input_size import run_detector
from crystal_eyes.detector.training.labels import read_labels
from crystal_eyes.detector.training.scenes import compose_scenes
from crystal_eyes.errors import UserError
from crystal_eyes.evaluation.calibration import expected_calibration_error
from crystal_eyes.evaluation.detection import PictureDetections, detection_metrics, true_positives
from crystal_eyes.recognizer.bundle import DETECTOR, read_bundle, write_listing

SCENES = 60
WEIGHTS = (0.9, 0.1)  # of labeled pictures and composed scenes
EDGES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)  # of the bins of confidence
SHOWN = (0.3, 0.4, 0.5, 0.6, 0.7)  # confidences at which precision and recall are printed


Pictures = Iterable[tuple[np.ndarray, np.ndarray]]


def halves(folders: list[Path]) -> list[list[AnnotatedPicture]]:
    """The test third in two halves. A drawing and its lines, which stand side by side, stay together."""
    parts: list[list[AnnotatedPicture]] = [[], []]
    for folder in folders:
        for number, one in enumerate(split(read_labels(folder)[0])["test"]):
            parts[number // 2 % 2].append(one)
    return parts


def reliability(pictures: list[PictureDetections]) -> list[str]:
    scores = np.concatenate([one.scores for one in pictures])
    hits = np.concatenate([true_positives(one, MIN_IOU) for one in pictures])
    rows = []
    for low, high in zip(EDGES, EDGES[1:]):
        inside = (scores >= low) & (scores < high if high < 1 else scores <= high)
        if inside.any():
            rows.append(
                f"{low:.1f} to {high:.1f}: {inside.sum()} boxes, mean confidence {scores[inside].mean():.3f}, heads "
                f"{hits[inside].mean():.3f}"
            )
    above = scores >= EDGES[1]
    error = expected_calibration_error(scores[above], hits[above])
    return [*rows, f"expected calibration error of the boxes above {EDGES[1]}: {error:.3f}"]


def into_bundle(detector: Path, folder: Path) -> None:
    """Replace a bundle's detector. Raises UserError if it is no intact bundle."""
    bundle = read_bundle(folder)
    part = folder / f"{DETECTOR}.part"
    shutil.copyfile(detector, part)
    part.replace(folder / DETECTOR)
    source = bundle.listing["source"] | {"detector": hashlib.sha256(detector.read_bytes()).hexdigest()}
    write_listing(folder, source, list(bundle.listing["files"]), bundle.listing["format"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("detector", type=Path)
    parser.add_argument("--labels", type=Path, nargs="+", required=True)
    parser.add_argument("--bundle", type=Path)
    given = parser.parse_args()
    path = given.detector / FILE if given.detector.is_dir() else given.detector
    detector = HeadDetector(path)
    detector.calibration = None  # of an earlier fit

    def search(pictures: Pictures) -> list[PictureDetections]:
        return run_detector(detector, pictures)[0]

    tests = [search(map(load, half)) for half in halves(given.labels)]
    scenes = search((picture, boxes) for _, picture, boxes in compose_scenes(SCENES, "scene", [0, 1], cast_cutouts(1)))
    calibration = fit([[*tests[0], *tests[1]], scenes], WEIGHTS)
    for name, some in (("labeled", [*tests[0], *tests[1]]), ("composed", scenes)):
        print(f"fitted on {len(some)} {name} pictures, {sum(len(one.truth) for one in some)} heads")
    print(f"slope and intercept: {calibration}; 0.5 is the network's {calibration.inverse(0.5):.3f}")
    found = []
    for half, other in (tests, tests[::-1]):
        without = fit([other, scenes], WEIGHTS)
        print(f"without a half of the test third: {without}; 0.5 is {without.inverse(0.5):.3f}")
        found += [one._replace(scores=without(one.scores)) for one in half]
    print(f"\ntest third: {len(found)} pictures, {sum(len(one.truth) for one in found)} heads")
    print("\n".join(reliability(found)))
    for confidence in SHOWN:
        metrics = detection_metrics(found, confidence)
        print(f"at {confidence}: precision {metrics['precision']:.3f}, recall {metrics['recall']:.3f}")
    store(path, calibration)
    if given.bundle:
        into_bundle(path, given.bundle)


if __name__ == "__main__":
    try:
        main()
    except (UserError, OSError, ValueError) as error:
        sys.exit(f"calibrate: {error}")
