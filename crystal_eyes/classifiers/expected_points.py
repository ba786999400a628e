"""Where the point of a character is expected, by the mean of its heads and how many there are.

Probabilistic linear discriminant analysis (Ioffe, Probabilistic Linear Discriminant Analysis, 2006; Prince and Elder,
Probabilistic Linear Discriminant Analysis for Inferences About Identity, 2007): heads vary around the point of their
character by one covariance, the points of characters vary around their common mean by another one. The fewer heads a
character has, the nearer to the common mean its point is expected.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

SHRINKAGE = 0.8  # chosen in docs/results.md: embeddings of a whitened encoder need little further whitening
# chosen there too: an encoder draws the heads that it was trained on closer together than others, so beside the variance within
# characters, the variance among them looks too large
AMONG = 0.4
SCALE = 1 / 25  # of logits, about as measured there: the directions are not as independent as the model takes them to be
LEAST = 1e-3  # ratio of the variances: in no direction all characters count as one


@dataclass(frozen=True)
class ExpectedPoints:
    """The two covariances, by directions in which the heads of a character vary by 1, independently of each other."""

    matrix: np.ndarray  # float [d, d]: (embeddings - center) @ matrix are coordinates in these directions
    ratios: np.ndarray  # float [d]: the variance among characters to that within
    center: np.ndarray  # float [d]: the mean of the characters

    @classmethod
    def fit(cls, embeddings: np.ndarray, labels: np.ndarray) -> Self:
        """embeddings: float [n, d]; labels: int [n] from 0 to classes - 1, every class present."""
        from crystal_eyes.encoder.whitening import class_means, whitening_matrix, within_covariance

        x = np.asarray(embeddings, dtype=np.float64)
        means, within, counts = class_means(x, labels), within_covariance(x, labels), np.bincount(labels)
        if not within.any():  # one picture of each character: all directions count alike
            within = np.eye(x.shape[1]) / x.shape[1]
        center = means.mean(axis=0)
        apart = means - center
        # the means of few heads also vary by the variance of heads
        among = apart.T @ apart / len(means) - within * (1 / counts).mean()
        white = whitening_matrix(within, SHRINKAGE)
        ratios, directions = np.linalg.eigh(white @ among @ white)
        return cls(white @ directions, np.maximum(AMONG * ratios, LEAST), center)

    def points(self, means: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """float [characters, d]: where these characters' points are expected, in coordinates of `matrix`. Like layer."""
        evidence = self.ratios * np.asarray(counts)[:, None]
        return (means - self.center) @ self.matrix * (evidence / (evidence + 1))

    def layer(self, means: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights float [characters, d] and biases [characters]: how much nearer than to the common mean an embedding is to
        where the points of these characters are expected.

        means: float [characters, d], of their heads; counts: int [characters], how many.
        """
        points = self.points(means, counts)
        weight = points @ self.matrix.T
        return SCALE * weight, SCALE * (-0.5 * (points**2).sum(axis=1) - weight @ self.center)

    def logits(self, embeddings: np.ndarray, means: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """float32 [n, characters]: what the layer of these characters says of embeddings float [n, d]. Otherwise like layer."""
        weight, bias = self.layer(means, counts)
        return (embeddings @ weight.T + bias).astype(np.float32)

    def stored(self) -> np.ndarray:
        """float16 [d + 2, d]: all three."""
        return np.concatenate([self.matrix, self.ratios[None], self.center[None]]).astype(np.float16)

    @classmethod
    def from_stored(cls, stored: np.ndarray) -> Self:
        """In 32 bits."""
        values = stored.astype(np.float32)
        return cls(values[:-2], values[-2], values[-1])
