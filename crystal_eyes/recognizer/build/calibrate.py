"""Calibration: a temperature and the calibration scores of each kind of heads."""

from collections.abc import Mapping

import numpy as np

from crystal_eyes.recognizer.build.known import KnownCharacters
from crystal_eyes.recognizer.build.labeled_heads import KINDS, LabeledHeads
from crystal_eyes.recognizer.build.temperature import fit_temperature
from crystal_eyes.recognizer.calibration import Calibration
from crystal_eyes.recognizer.unlikeness import Unlikeness

MIN_RIGHT = 19  # with fewer heads, no p-value is as small as 5 %


def calibrate(
    known: KnownCharacters, unlikeness: Unlikeness, heads: LabeledHeads, strangers: Mapping[str, np.ndarray]
) -> dict[str, Calibration]:
    """The calibration of each kind. heads: held-out ones of the known characters; strangers: unlikeness [m] by kind.

    A head counts as known where it is named right, since a head that is named wrong is as well called unknown.
    """
    calibrations = {}
    for kind in KINDS:
        # a kind without heads is calibrated on the other one
        some = heads.of_kind(kind) if len(heads.of_kind(kind)) else heads
        evidence = known.evidence(some)
        labels = known.labels(some.characters)
        right = evidence.logits.argmax(axis=1) == labels
        own = unlikeness(evidence)
        own = own[right] if right.sum() >= MIN_RIGHT else own
        calibrations[kind] = Calibration(fit_temperature(evidence.logits, labels), np.sort(own), np.sort(strangers[kind]))
    return calibrations
