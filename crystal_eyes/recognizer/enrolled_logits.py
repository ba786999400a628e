"""The logits of enrolled characters, which the classifier was not trained on."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from crystal_eyes.classifiers.expected_points import ExpectedPoints
from crystal_eyes.classifiers.line_noise import LineNoise
from crystal_eyes.recognizer.bundle import CALIBRATION, EXPECTED, LINE_NOISE, ONE_LENGTH, Bundle
from crystal_eyes.vectors import unit


class Line(NamedTuple):
    """From one measure of likeness to the classifier's logits."""

    slope: float
    intercept: float

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return (self.slope * values + self.intercept).astype(np.float32)


class Layer(NamedTuple):
    """scaled embeddings @ weight.T + bias are the logits of c characters; LineNoise's and line_bias, in line art or gray."""

    weight: np.ndarray  # float32 [c, d]
    bias: np.ndarray  # float32 [c]
    line_bias: np.ndarray  # float32 [c]


@dataclass(frozen=True)
class EnrolledLogits:
    """The logit of an enrolled character, by where its point is expected.

    The line is fitted when the bundle is built, so that held-out characters are found after enrollment, and the accuracy on the
    others hardly drops. Bundles of before have nothing but a line from the cosine to the character's mean (Qi et al., Low-Shot
    Learning with Imprinted Weights, 2018).
    """

    by_cosine: Line
    expected: ExpectedPoints | None = None
    by_point: Line = Line(1.0, 0.0)  # from the layer of `expected`
    line_noise: LineNoise | None = None  # of the same `expected`; None: heads in line art or gray are named as colored ones

    @cached_property
    def digest(self) -> str:
        """Of what layers depend on, sha256."""
        parts = [repr((self.by_cosine, self.by_point)).encode()]
        if self.expected is not None:
            parts += [self.expected.stored().tobytes(), bytes([self.expected.one_length])]
        if self.line_noise is not None:
            parts.append(self.line_noise.stored().tobytes())
        return hashlib.sha256(b"".join(parts)).hexdigest()

    def scaled(self, embeddings: np.ndarray) -> np.ndarray:
        """float32 [n, d], what layers take, and are made from, instead of unit-length embeddings float32 [n, d]."""
        return embeddings if self.expected is None else self.expected.scaled(embeddings)

    def layer(self, means: np.ndarray, counts: np.ndarray) -> Layer:
        """means: float32 [c, d] of so many scaled embeddings each (counts: int [c])."""
        if self.expected is None:
            slope, intercept = self.by_cosine
            constant = np.full(len(means), intercept, np.float32)
            return Layer((slope * unit(means)).astype(np.float32), constant, constant)
        weight, bias = self.expected.layer(means, counts)
        line = bias if self.line_noise is None else bias + self.line_noise.bias_changes(means, counts)
        return Layer((self.by_point.slope * weight).astype(np.float32), self.by_point(bias), self.by_point(line))


def read_enrolled_logits(bundle: Bundle) -> EnrolledLogits:
    """Of a bundle."""
    calibration = bundle.json(CALIBRATION)
    line = Line(**calibration["enrolled_logits"])
    if "enrolled_points" not in calibration:  # written before
        return EnrolledLogits(line)
    expected = ExpectedPoints.from_stored(
        np.load(bundle.trained / EXPECTED, allow_pickle=False), calibration.get(ONE_LENGTH, False)
    )
    noise = None
    if bundle.has(LINE_NOISE):
        noise = LineNoise.from_stored(expected, np.load(bundle.trained / LINE_NOISE, allow_pickle=False))
    return EnrolledLogits(line, expected, Line(**calibration["enrolled_points"]), noise)
