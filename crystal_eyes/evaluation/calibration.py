"""Fitting and measuring calibrated probabilities."""

import numpy as np
from scipy.optimize import minimize_scalar

from crystal_eyes.recognizer.calibration import Calibration

BINS = 15


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """The temperature at which the first answer's probability best foretells whether it is right (least cross-entropy).

    logits: [n, classes]; truth: int [n]. Fitted on the likelihood of the true class instead, the error on real heads is half as
    large again: heads that are far from right draw the temperature up.
    """
    right = logits.argmax(axis=1) == truth

    def surprise(log_temperature: float) -> float:
        sure = Calibration(np.exp(log_temperature)).probabilities(logits).max(axis=1).astype(np.float64)
        chance = np.where(right, sure, 1 - sure)
        return -float(np.log(np.maximum(chance, 1e-9)).mean())

    return float(np.exp(minimize_scalar(surprise, bounds=(np.log(0.02), np.log(50)), method="bounded").x))


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Mean gap between confidence and accuracy over equal bins of confidence, weighted by their heads (Naeini et al., 2015).

    confidence: [n] from 0 to 1, of the first answer; right: bool [n], whether it was.
    """
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, confidence, BINS) - np.bincount(bins, right, BINS)
    return float(np.abs(gaps).sum() / len(confidence))
