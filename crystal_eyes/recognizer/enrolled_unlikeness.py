"""How unlike an enrolled character a head is, measured against other characters that were enrolled from as few heads.

An enrolled character was not trained: its heads are farther from its mean, and its logit is lower, than a trained character's.
By the calibration scores of the trained characters alone, nearly all of its heads would be unknown. So each enrolled character
has a conformal p-value of its own (label-conditional: Vovk et al., Algorithmic Learning in a Random World, 2005): a head is
unlike the whole catalogue if it is unlike the trained characters and also unlike each enrolled one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from crystal_eyes.recognizer.calibration import Calibration
from crystal_eyes.recognizer.unlikeness import COHORT

COUNTS = (1, 3, 5)  # heads that a character is enrolled from, for which calibration scores are stored
DISTANCES = ("mean", "neighbour", "ahead")  # spelled like the scores of the trained characters
KINDS = ("colour", "line")  # keys of calibration.json
MAX_CHARACTERS, ENROLLMENTS, MAX_STRANGERS = 200, 200, 100  # of a calibration; strangers: heads per enrollment
MAX_SCORES = 1000  # that are stored of each kind and count


def distance(name: str, to_mean: np.ndarray, to_own: np.ndarray, cohort: np.ndarray) -> np.ndarray:
    """float64 [n]: distance of n heads from an enrolled character.

    to_mean: cosine to its mean embedding [n]; to_own: cosine to its reference heads [n, r]; cohort: as cohort_of returns it.
    """
    found = 1 - to_own.max(axis=1) if name == "neighbour" else (1 if name == "mean" else cohort) - to_mean
    return np.round(found.astype(np.float64), 5)  # like the stored calibration scores


def cohort_of(to_means: np.ndarray) -> np.ndarray:
    """float32 [n]: mean cosine to the nearest of the trained characters' means [n, c]; large for heads in a common style."""
    return -np.sort(-to_means, axis=1)[:, :COHORT].mean(axis=1)


@dataclass(frozen=True)
class Enrollments:
    """Distances from characters that were enrolled for calibration, by name of the distance."""

    own: dict[str, np.ndarray]  # of other heads of the enrolled character
    strange: dict[str, np.ndarray]  # of heads of other characters


def enroll_each(
    embeddings: np.ndarray, characters: np.ndarray, shown: np.ndarray, asked: np.ndarray, cohort: np.ndarray, count: int
) -> Enrollments:
    """Enroll characters that are not trained, one at a time from `count` heads drawn at random, and measure other heads.

    embeddings: float32 [n, d]; characters: str or int [n]; shown, asked: bool [n], heads to enroll from and heads to
    measure, which may overlap; cohort: float32 [n]. Characters with fewer than `count` heads to enroll from are left out.
    """
    rng = np.random.default_rng(count)
    names, sizes = np.unique(characters[shown], return_counts=True)
    names = np.sort(rng.permutation(names[sizes >= count])[:MAX_CHARACTERS])
    own, strange = ({name: [np.zeros(0)] for name in DISTANCES} for _ in range(2))
    for name in np.repeat(names, -(-ENROLLMENTS // max(len(names), 1))):
        chosen = rng.permutation(np.flatnonzero(shown & (characters == name)))[:count]
        mean = embeddings[chosen].mean(axis=0)
        mean /= max(float(np.linalg.norm(mean)), 1e-12)
        others = np.setdiff1d(np.flatnonzero(asked & (characters == name)), chosen)
        strangers = rng.permutation(np.flatnonzero(asked & (characters != name)))[:MAX_STRANGERS]
        for rows, found in ((others, own), (strangers, strange)):
            for kind in DISTANCES if len(rows) else ():
                heads = embeddings[rows]
                found[kind].append(distance(kind, heads @ mean, heads @ embeddings[chosen].T, cohort[rows]))
    return Enrollments(*({name: np.sort(np.concatenate(parts)) for name, parts in one.items()} for one in (own, strange)))


@dataclass(frozen=True)
class EnrolledUnlikeness:
    """p-values and shares of strangers for heads compared with enrolled characters."""

    distance: str  # of DISTANCES
    calibrations: Mapping[str, Mapping[int, Calibration]]  # by kind of the heads and number of enrolled heads

    def calibration(self, kind: str, heads: int) -> Calibration:
        """For a character enrolled from so many heads: that of the largest count up to it."""
        counts = self.calibrations[kind]
        return counts[max((count for count in counts if count <= heads), default=min(counts))]

    def __call__(
        self, to_mean: np.ndarray, to_own: np.ndarray, cohort: np.ndarray, line: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """p-values and shares of strangers, float64 [n] each, of n heads, for one character. line: bool [n], line or gray."""
        distances = distance(self.distance, to_mean, to_own, cohort)
        color, gray = (self.calibration(kind, to_own.shape[1]) for kind in KINDS)
        return (
            np.where(line, gray.p_values(distances), color.p_values(distances)),
            np.where(line, gray.stranger_shares(distances), color.stranger_shares(distances)),
        )

    def of_each(
        self, to_means: np.ndarray, nearest: np.ndarray, heads: np.ndarray, cohort: np.ndarray, line: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """p-values and shares of strangers, float64 [n, c] each, of n heads for c characters.

        to_means: cosines to their mean embeddings [n, c]; nearest: to the nearest of their reference heads [n, c]; heads: int
        [c], that they were enrolled from; cohort: [n]; line: bool [n, c].
        """
        p_values, shares = np.empty(to_means.shape), np.empty(to_means.shape)
        for count in np.unique(heads):
            some = heads == count
            cohorts = np.repeat(cohort, some.sum())
            # as if each pair were a head of its own, of a character with as many reference heads
            own = np.repeat(nearest[:, some].reshape(-1, 1), count, axis=1)
            p, share = self(to_means[:, some].ravel(), own, cohorts, line[:, some].ravel())
            p_values[:, some], shares[:, some] = p.reshape(len(cohort), -1), share.reshape(len(cohort), -1)
        return p_values, shares

    def lenient(self, other: "EnrolledUnlikeness") -> "EnrolledUnlikeness":
        """With the larger of both calibrations' scores at each quantile: each may come from a few characters only."""
        if self.distance != other.distance:
            return self
        calibrations = {}
        for kind, counts in self.calibrations.items():
            calibrations[kind] = dict(counts)
            for count, one in counts.items():
                second = other.calibration(kind, count)
                if len(one.known) and len(second.known):
                    shares = np.linspace(0, 1, len(one.known))
                    known = np.maximum(one.known, np.round(np.quantile(second.known, shares), 5))
                    calibrations[kind][count] = replace(one, known=known)
        return EnrolledUnlikeness(self.distance, calibrations)

    def as_dict(self) -> dict[str, Any]:
        kinds = {
            kind: {
                str(count): {"known": one.known.tolist(), "strangers": one.strangers.tolist()} for count, one in counts.items()
            }
            for kind, counts in self.calibrations.items()
        }
        return {"distance": self.distance, **kinds}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        kinds = {
            kind: {int(count): Calibration.from_dict({"temperature": 1, **one}) for count, one in values[kind].items()}
            for kind in KINDS
        }
        return cls(values["distance"], kinds)

    @classmethod
    def from_gallery(cls, embeddings: np.ndarray, labels: np.ndarray, means: np.ndarray) -> Self:
        """For bundles without calibration scores for enrolled characters: their reference heads are enrolled as new ones.

        embeddings: float32 [n, d] of the trained characters' reference heads; labels: int [n], each head's row in means;
        means: float32 [c, d]. The gallery tells nothing about line art, which is farther from any mean:
        its scores are moved halfway to those of strangers.
        """
        to_means = embeddings @ means.T
        to_means[np.arange(len(labels)), labels] = -1  # as if its character had not been trained
        everything = np.ones(len(embeddings), bool)
        color, line = {1: Calibration(1.0)}, {1: Calibration(1.0)}
        for count in COUNTS:
            found = enroll_each(embeddings, labels, everything, everything, cohort_of(to_means), count)
            if len(found.own["mean"]) and len(found.strange["mean"]):
                color[count] = calibrated(found, "mean")
                farther = float(np.median(found.strange["mean"]) - np.quantile(found.own["mean"], 0.95)) / 2
                line[count] = replace(color[count], known=color[count].known + max(0.0, farther))
        return cls("mean", {"colour": color, "line": line})


def calibrated(found: Enrollments, name: str) -> Calibration:
    """The calibration scores of a distance, at most MAX_SCORES of each kind. A temperature has no meaning here."""
    return Calibration(1.0, *(thinned(values[name]) for values in (found.own, found.strange)))


def thinned(values: np.ndarray) -> np.ndarray:
    """At most MAX_SCORES of sorted values, evenly spread."""
    return values if len(values) <= MAX_SCORES else values[np.linspace(0, len(values) - 1, MAX_SCORES).round().astype(int)]
