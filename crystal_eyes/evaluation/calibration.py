"""Calibration error of probabilities."""

import numpy as np

BINS = 15


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Mean gap between confidence and accuracy over equal bins of confidence, weighted by their heads (Naeini et al., 2015).

    confidence: [n] from 0 to 1, of the first answer; right: bool [n], whether it was right.
    """
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, confidence, BINS) - np.bincount(bins, right, BINS)
    return float(np.abs(gaps).sum() / len(confidence))
