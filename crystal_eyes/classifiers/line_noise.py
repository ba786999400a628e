"""How heads in line art or gray vary around the point of their character: in other directions than colored heads.

Their logits are those of expected_points.py with another covariance. With coordinates x and points u, a colored head's logit
is x u - |u|^2 / 2, one in line art or gray has x H u - u H u / 2, where H is the inverse of their covariance. As that is linear
too, the layers of colored heads serve both: an embedding in line art or gray is mapped first, and each character has a second
bias.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from crystal_eyes.classifiers.expected_points import ExpectedPoints
from crystal_eyes.products import product

SHRINKAGE = 0.2  # of what lies off the diagonal; chosen in docs/results.md


@dataclass(frozen=True)
class LineNoise:
    """The covariance of heads in line art or gray, for logits beside those of `expected`."""

    expected: ExpectedPoints
    matrix: np.ndarray  # float [d, d]: the inverse of the covariance times that of expected.matrix

    @classmethod
    def fit(cls, expected: ExpectedPoints, residuals: np.ndarray) -> Self:
        """residuals: float [n, d], of heads in line art or gray to the means of their characters, all scaled; n >= 2."""
        matrix = expected.matrix.astype(np.float64)
        varied = np.cov(residuals @ matrix, rowvar=False)
        # a point is known only so well, as if from one head
        unsure = expected.ratios / (expected.ratios + 1)
        covariance = (1 - SHRINKAGE) * varied + np.diag(SHRINKAGE * np.diagonal(varied) + unsure)
        return cls(expected, np.linalg.inv(matrix @ covariance))

    def adapted(self, embeddings: np.ndarray) -> np.ndarray:
        """float32 [n, d], what a layer of `expected` takes instead of scaled embeddings float [n, d] of such heads."""
        center, matrix = self.expected.center, self.expected.matrix
        return (center + product(product(embeddings - center, matrix), self.matrix)).astype(np.float32)

    def bias_changes(self, means: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """float32 [characters]: what to add to the biases of their layer. means and counts: see ExpectedPoints.layer."""
        points = self.expected.points(means, counts)
        weight = points @ self.expected.matrix.T
        return (self.expected.scale / 2 * (points * (points - weight @ self.matrix.T)).sum(axis=1)).astype(np.float32)

    def logits(self, embeddings: np.ndarray, means: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Like ExpectedPoints.logits, of heads in line art or gray."""
        return self.expected.logits(self.adapted(embeddings), means, counts) + self.bias_changes(means, counts)

    def stored(self) -> np.ndarray:
        """float16 [d, d]: the matrix. `expected` is stored by itself."""
        return self.matrix.astype(np.float16)

    @classmethod
    def from_stored(cls, expected: ExpectedPoints, stored: np.ndarray) -> Self:
        """In 32 bits."""
        return cls(expected, stored.astype(np.float32))
