"""Converts raw scores to calibrated probabilities, conformal p-values and shares."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

UNKNOWN_LEVEL = 0.05  # of p-values
KNOWN_LEVEL = 0.02  # of shares of strangers: to take a stranger for somebody is worse than to be unsure


def verdict(p_value: float, stranger_share: float) -> str:
    """unknown: hardly any head of a known character is this unlike; known: hardly any stranger is this alike; else unsure."""
    if p_value <= UNKNOWN_LEVEL:
        return "unknown"
    return "known" if stranger_share <= KNOWN_LEVEL else "unsure"


def known_probability(p_values: np.ndarray, stranger_shares: np.ndarray) -> np.ndarray:
    """float64 [n]: how probable it is that a head shows a known character, if as many heads show strangers.

    From both tails: the share of known heads that are at least as unlike, against the share of strangers at most as unlike.
    """
    return p_values / (p_values + stranger_shares)


@dataclass(frozen=True)
class Calibration:
    """The calibration of one kind of heads: colored ones, or line art and gray ones."""

    temperature: float  # logits are divided by it (Guo et al., On Calibration of Modern Neural Networks, 2017)
    # unlikeness of held-out heads of known characters that are named right, sorted
    known: np.ndarray = field(default_factory=lambda: np.zeros(0))
    strangers: np.ndarray = field(default_factory=lambda: np.zeros(0))  # of heads of held-out characters, sorted

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """float32 [n, classes] of logits [n, classes]: softmax at the temperature."""
        scaled = (logits - logits.max(axis=1, keepdims=True)) / self.temperature
        powers = np.exp(scaled)
        return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)

    def p_values(self, unlikeness: np.ndarray) -> np.ndarray:
        """float64 [n]: conformal p-values (Vovk et al., 2005): (1 + known heads at least as unlike) / (1 + known heads).

        Of heads exchangeable with the calibration heads, at most a share alpha has a p-value of alpha or less.
        """
        at_least = len(self.known) - np.searchsorted(self.known, unlikeness, side="left")
        return (1 + at_least) / (1 + len(self.known))

    def stranger_shares(self, unlikeness: np.ndarray) -> np.ndarray:
        """float64 [n]: (1 + strangers at most as unlike) / (1 + strangers): the p-value of being a stranger."""
        at_most = np.searchsorted(self.strangers, unlikeness, side="right")
        return (1 + at_most) / (1 + len(self.strangers))

    def as_dict(self) -> dict[str, Any]:
        return {name: np.round(value, 5).tolist() for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Calibration":
        return cls(float(values["temperature"]), *(np.sort(np.asarray(values[n], float)) for n in ("known", "strangers")))
