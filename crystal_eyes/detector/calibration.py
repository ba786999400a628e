"""Calibrated confidence: the probability that a box is a head, from the number that the network gives it."""

from typing import NamedTuple, Self

import numpy as np

ENTRY = "calibration"  # of the detector file's metadata
EDGE = 1e-6  # network outputs this close to 0 or 1 have no finite logit


class Calibration(NamedTuple):
    """Platt scaling: the logit of the probability is slope * logit of the network's output + intercept."""

    slope: float
    intercept: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """What `str` gives. Raises ValueError if it is anything else, or if probabilities would fall as outputs rise."""
        slope, intercept = map(float, text.split())
        if not (0 < slope < np.inf and np.isfinite(intercept)):
            raise ValueError(f"calibration {text!r}")
        return cls(slope, intercept)

    def __str__(self) -> str:
        return f"{self.slope:.4f} {self.intercept:.4f}"

    def __call__(self, outputs: np.ndarray) -> np.ndarray:
        """float32 [n]: probabilities. outputs: float [n] from 0 to 1."""
        return (1 / (1 + np.exp(-(self.slope * logit(outputs) + self.intercept)))).astype(np.float32)

    def inverse(self, probability: float) -> float:
        """The network's output at a probability between 0 and 1."""
        return float(1 / (1 + np.exp(-(logit(np.array(probability)) - self.intercept) / self.slope)))


def logit(values: np.ndarray) -> np.ndarray:
    """float64: log-odds of values from 0 to 1, kept finite."""
    inside = np.clip(np.asarray(values, np.float64), EDGE, 1 - EDGE)
    return np.log(inside / (1 - inside))
