"""Linear discriminant analysis with one covariance for all characters (Fisher, 1936).

The nearest class mean, where directions in which a character's own heads differ count less.
"""

import numpy as np

from crystal_eyes.classifiers.linear import Linear
from crystal_eyes.encoder.whitening import class_means, whitening_matrix, within_covariance

SHRINKAGE = 0.8  # chosen in benchmarks/recipes.md: on a whitened encoder little is left to even out


class Lda(Linear):
    """Every character counts alike. scikit-learn's own needs more pictures than classes and weighs classes, not pictures."""

    def fit(self, embeddings: np.ndarray, labels: np.ndarray) -> None:
        x = np.asarray(embeddings, dtype=np.float64)
        means, covariance = class_means(x, labels), within_covariance(x, labels)
        if not covariance.any():  # one picture of each: nothing says which direction matters
            covariance = np.eye(x.shape[1]) / x.shape[1]
        matrix = whitening_matrix(covariance, SHRINKAGE)
        weight = means @ matrix @ matrix
        self.weight, self.bias = weight.astype(np.float32), (-0.5 * (weight * means).sum(axis=1)).astype(np.float32)
