"""How dissimilar a head is to all known characters: one number from its logits and similarities, larger for strangers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

COHORT = 10  # class means after the nearest one
# reference heads, and how many of the nearest ones among them, that `cohort` compares with
COHORT_HEADS, COHORT_NEAREST = 2500, 50
NEAREST = 5  # reference heads


@dataclass(frozen=True)
class Evidence:
    """What naming n heads is based on."""

    logits: np.ndarray  # float32 [n, classes]
    to_means: np.ndarray  # float32 [n, classes]: cosine to each character's mean embedding
    to_gallery: np.ndarray  # float32 [n, references]: cosine to each reference head

    def __getitem__(self, rows: np.ndarray) -> "Evidence":
        """On some of the heads."""
        return Evidence(self.logits[rows], self.to_means[rows], self.to_gallery[rows])


def probability(evidence: Evidence) -> np.ndarray:
    """Hendrycks and Gimpel, A Baseline for Detecting Misclassified and Out-of-Distribution Examples, 2017; its logarithm."""
    return -evidence.logits.max(axis=1) - energy(evidence)


def max_logit(evidence: Evidence) -> np.ndarray:
    """Hendrycks et al., Scaling Out-of-Distribution Detection for Real-World Settings, 2022."""
    return -evidence.logits.max(axis=1)


def energy(evidence: Evidence) -> np.ndarray:
    """Liu et al., Energy-based Out-of-distribution Detection, 2020."""
    highest = evidence.logits.max(axis=1)
    return -(highest + np.log(np.exp(evidence.logits - highest[:, None]).sum(axis=1)))


def mean(evidence: Evidence) -> np.ndarray:
    """Distance to the nearest class mean."""
    return 1 - evidence.to_means.max(axis=1)


def neighbor(evidence: Evidence) -> np.ndarray:
    """Distance to the nearest reference head (Sun et al., Out-of-Distribution Detection with Deep Nearest Neighbors, 2022)."""
    return 1 - evidence.to_gallery.max(axis=1)


def ahead(evidence: Evidence) -> np.ndarray:
    """How little the nearest class mean is ahead of the next ones: a head in a style that many characters share is close to
    all of them. (Speaker recognition normalizes by such a cohort: Matejka et al., Analysis of Score Normalization, 2017.)"""
    ordered = -np.sort(-evidence.to_means, axis=1)
    others = ordered[:, 1 : 1 + COHORT]
    return (others.mean(axis=1) if others.shape[1] else 0) - ordered[:, 0]


def cohort(evidence: Evidence) -> np.ndarray:
    """How little the nearest class mean is ahead of the nearest reference heads, whoever they show, among a fixed selection."""
    references = evidence.to_gallery.shape[1]
    some = evidence.to_gallery[:, np.linspace(0, references - 1, min(references, COHORT_HEADS)).astype(int)]
    return _mean_of_largest(some, COHORT_NEAREST) - evidence.to_means.max(axis=1)


def crowd(evidence: Evidence) -> np.ndarray:
    """Distance to several of the nearest reference heads: compared with that to the nearest, it tells whether that is alone."""
    return 1 - _mean_of_largest(evidence.to_gallery, NEAREST)


def _mean_of_largest(values: np.ndarray, count: int) -> np.ndarray:
    """[n]: the mean of the `count` largest of each row, of all if there are fewer."""
    count = min(count, values.shape[1])
    return np.partition(values, values.shape[1] - count, axis=1)[:, -count:].mean(axis=1)


# by the names in calibration.json and in metrics ("neighbour": bundles written before spell it so)
SCORES: dict[str, Callable[[Evidence], np.ndarray]] = {
    "probability": probability, "max_logit": max_logit, "energy": energy,
    "mean": mean, "neighbour": neighbor, "ahead": ahead, "cohort": cohort, "crowd": crowd,
}  # fmt: skip
# one score alone, a score of the classifier and a distance together, or what complements each other best
BLENDS: list[tuple[str, ...]] = [(name,) for name in SCORES]
BLENDS += [(a, b) for a in ("probability", "max_logit", "energy") for b in ("mean", "neighbour", "ahead", "cohort")]
BLENDS += [("energy", "cohort", "neighbour", "crowd"), ("probability", "energy", "cohort", "neighbour", "crowd")]


@dataclass(frozen=True)
class Unlikeness:
    """The weighted sum of scores, each standardized to mean 0 and deviation 1 on heads of known characters."""

    names: tuple[str, ...]
    shifts: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]

    @classmethod
    def fit(cls, names: tuple[str, ...], known: Evidence, weights: tuple[float, ...] | None = None) -> Self:
        """names: of SCORES, to be added up; known: of heads of known characters; weights: None for equal ones."""
        scores = [SCORES[name](known) for name in names]
        shifts, scales = tuple(float(s.mean()) for s in scores), tuple(float(s.std()) or 1.0 for s in scores)
        return cls(names, shifts, scales, weights or (1.0,) * len(names))

    def terms(self, evidence: Evidence) -> np.ndarray:
        """float64 [n, scores]: the standardized scores."""
        scores = [SCORES[name](evidence).astype(np.float64) for name in self.names]
        return (np.stack(scores, axis=1) - self.shifts) / self.scales

    def __call__(self, evidence: Evidence) -> np.ndarray:
        """float64 [n]."""
        return np.round(self.terms(evidence) @ np.array(self.weights), 5)  # like the stored calibration scores

    def as_dict(self) -> dict[str, Any]:
        return {name: list(value) for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        names = tuple(values["names"])
        # older bundles have no weights
        weights = tuple(values.get("weights", (1.0,) * len(names)))
        return cls(names, tuple(values["shifts"]), tuple(values["scales"]), weights)
