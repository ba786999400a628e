"""Where the point of a character is expected, by the mean of its heads and how many there are.

Probabilistic linear discriminant analysis (Ioffe, Probabilistic Linear Discriminant Analysis, 2006; Prince and Elder,
Probabilistic Linear Discriminant Analysis for Inferences About Identity, 2007): heads vary around the point of their
character by one covariance, the points of characters vary around their common mean by another one. The fewer heads a
character has, the nearer to the common mean its point is expected.

Where it is known how degraded heads vary (encoder/degradation.py), that covariance takes the place of the one of the given
heads, and all heads are brought to one length first (Garcia-Romero and Espy-Wilson, Analysis of i-vector Length Normalization,
2011): the smaller or the more blurred a head, the nearer to the common mean is its embedding.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from crystal_eyes.products import product

SHRINKAGE = 0.8  # chosen in docs/results.md: embeddings of a whitened encoder need little further whitening
# chosen there too: an encoder draws the heads that it was trained on closer together than others, so beside the variance within
# characters, the variance among them looks too large
AMONG = 0.4
SCALE = 1 / 25  # of logits, about as measured there: the directions are not as independent as the model takes them to be
DEGRADED_SHRINKAGE, DEGRADED_AMONG, DEGRADED_SCALE = 0.3, 1.0, 1 / 20  # the same with degraded heads
LEAST = 1e-3  # ratio of the variances: in no direction all characters count as one


@dataclass(frozen=True)
class ExpectedPoints:
    """The two covariances, by directions in which the heads of a character vary by 1, independently of each other."""

    matrix: np.ndarray  # float [d, d]: (embeddings - center) @ matrix are coordinates in these directions
    ratios: np.ndarray  # float [d]: the variance among characters to that within
    center: np.ndarray  # float [d]: the mean of the characters
    one_length: bool = False  # whether embeddings are brought to one length first, see scaled

    @classmethod
    def fit(cls, embeddings: np.ndarray, labels: np.ndarray, degraded: tuple[np.ndarray, np.ndarray] | None = None) -> Self:
        """embeddings: float [n, d]; labels: int [n] from 0 to classes - 1, every class present.

        degraded: embeddings float [m, d] of degraded heads and their labels, of some of these classes.
        """
        from crystal_eyes.encoder.whitening import class_means, whitening_matrix, within_covariance

        x = np.asarray(embeddings, dtype=np.float64)
        means, within, counts = class_means(x, labels), within_covariance(x, labels), np.bincount(labels)
        if not within.any():  # one picture of each character: all directions count alike
            within = np.eye(x.shape[1]) / x.shape[1]
        center = means.mean(axis=0)
        apart = means - center
        # the means of few heads also vary by the variance of heads
        among = apart.T @ apart / len(means) - within * (1 / counts).mean()
        shrinkage, share = SHRINKAGE, AMONG
        if degraded is not None:
            residuals = np.asarray(degraded[0], dtype=np.float64) - means[degraded[1]]
            within = residuals.T @ residuals / len(residuals)
            shrinkage, share = DEGRADED_SHRINKAGE, DEGRADED_AMONG
        white = whitening_matrix(within, shrinkage)
        ratios, directions = np.linalg.eigh(white @ among @ white)
        return cls(white @ directions, np.maximum(share * ratios, LEAST), center, degraded is not None)

    @property
    def scale(self) -> float:
        """Of logits."""
        return DEGRADED_SCALE if self.one_length else SCALE

    def scaled(self, embeddings: np.ndarray) -> np.ndarray:
        """float [n, d], what all other methods take instead of embeddings float [n, d]."""
        if not self.one_length:
            return embeddings
        apart = embeddings - self.center
        lengths = np.linalg.norm(product(apart, self.matrix), axis=1, keepdims=True)
        expected = np.sqrt((1 + self.ratios).sum())  # of the length, by the two variances
        return self.center + apart * (expected / np.maximum(lengths, 1e-12))

    def points(self, means: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """float [characters, d]: where these characters' points are expected, in coordinates of `matrix`. Like layer."""
        evidence = self.ratios * np.asarray(counts)[:, None]
        return (means - self.center) @ self.matrix * (evidence / (evidence + 1))

    def layer(self, means: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights float [characters, d] and biases [characters]: how much nearer than to the common mean an embedding is to
        where the points of these characters are expected.

        means: float [characters, d], of their scaled heads; counts: int [characters], how many.
        """
        points = self.points(means, counts)
        weight = points @ self.matrix.T
        return self.scale * weight, self.scale * (-0.5 * (points**2).sum(axis=1) - weight @ self.center)

    def logits(self, embeddings: np.ndarray, means: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """float32 [n, characters]: what the layer of these characters says of scaled embeddings float [n, d]. Like layer."""
        weight, bias = self.layer(means, counts)
        return (embeddings @ weight.T + bias).astype(np.float32)

    def stored(self) -> np.ndarray:
        """float16 [d + 2, d]: the three arrays."""
        return np.concatenate([self.matrix, self.ratios[None], self.center[None]]).astype(np.float16)

    @classmethod
    def from_stored(cls, stored: np.ndarray, one_length: bool = False) -> Self:
        """In 32 bits."""
        values = stored.astype(np.float32)
        return cls(values[:-2], values[-2], values[-1], one_length)
