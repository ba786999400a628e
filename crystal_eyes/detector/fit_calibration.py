"""Fits the calibration of a detector on pictures that it was not trained on, and stores it in its file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import helper
from sklearn.linear_model import LogisticRegression

from crystal_eyes.detector.calibration import ENTRY, Calibration, logit
from crystal_eyes.evaluation.detection import PictureDetections, true_positives

MIN_IOU = 0.5  # with a labeled head: a box that overlaps less is no head
MIN_OUTPUT = 0.05  # boxes below it are many, are never reported, and would decide the fit
MIN_BOXES = 10  # of heads, and of others: fewer decide nothing


def fit(groups: Sequence[Sequence[PictureDetections]], weights: Sequence[float] | None = None) -> Calibration:
    """The calibration under which the boxes found in these pictures are as likely as possible.

    weights: of each group of pictures, however many boxes it has; None: all weigh the same. The confidences must be the
    network's own numbers. Raises ValueError where there are too few boxes, or where confident ones are heads less often.
    """
    scores, hits, shares = [], [], []
    for group, weight in zip(groups, weights or [1.0] * len(groups), strict=True):
        some = np.concatenate([picture.scores for picture in group]) if group else np.zeros(0)
        right = np.concatenate([true_positives(picture, MIN_IOU) for picture in group]) if group else np.zeros(0, bool)
        kept = some >= MIN_OUTPUT
        scores.append(some[kept])
        hits.append(right[kept])
        shares.append(np.full(kept.sum(), weight / max(1, kept.sum())))
    all_scores, all_hits = np.concatenate(scores), np.concatenate(hits)
    if min(all_hits.sum(), (~all_hits).sum()) < MIN_BOXES:
        raise ValueError(f"{all_hits.sum()} boxes of heads and {(~all_hits).sum()} others are too few")
    share = np.concatenate(shares)
    model = LogisticRegression(C=np.inf).fit(logit(all_scores)[:, None], all_hits, share * len(share) / share.sum())
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    if slope <= 0:
        raise ValueError("its confident boxes are heads less often than others")
    return Calibration(slope, intercept)


def store(path: Path, calibration: Calibration) -> None:
    """Write the calibration into a detector file, in place of one that it has. It is replaced in one step."""
    model = onnx.load(path, load_external_data=False)
    helper.set_model_props(model, {one.key: one.value for one in model.metadata_props} | {ENTRY: str(calibration)})
    incomplete = path.with_suffix(".part")
    try:
        onnx.save(model, incomplete)
        incomplete.replace(path)
    finally:
        incomplete.unlink(missing_ok=True)
