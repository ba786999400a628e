"""Linear discriminant analysis: the nearest expected point of a character, by the covariance within characters."""

import numpy as np

from crystal_eyes.classifiers.expected_points import ExpectedPoints
from crystal_eyes.classifiers.linear import Linear


class Lda(Linear):
    """All characters have equal weight, regardless of their numbers of pictures.

    Own code: scikit-learn's LinearDiscriminantAnalysis needs more pictures than classes, weights classes by pictures, and takes
    the mean of one picture for as certain as that of a hundred. The covariance is that of heads around a point that is known:
    what its uncertainty adds would need squares of embeddings, and measured no better.
    """

    name = "lda"

    def fit(self, embeddings: np.ndarray, labels: np.ndarray) -> None:
        self.fit_to(ExpectedPoints.fit(embeddings, labels), embeddings, labels)

    def fit_to(self, expected: ExpectedPoints, embeddings: np.ndarray, labels: np.ndarray) -> None:
        """Like fit, with given covariances. The layer takes embeddings that `expected` has scaled; these are not scaled yet."""
        from crystal_eyes.encoder.whitening import class_means

        scaled = expected.scaled(np.asarray(embeddings, np.float64))
        weight, bias = expected.layer(class_means(scaled, labels), np.bincount(labels))
        self.weight, self.bias = weight.astype(np.float32), bias.astype(np.float32)
