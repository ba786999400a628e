"""Linear discriminant analysis with one covariance for all characters (Fisher, 1936).

The nearest class mean, where directions in which heads of one character differ count less.
"""

import numpy as np

from crystal_eyes.classifiers.linear import Linear

SHRINKAGE = 0.8  # chosen in docs/results.md: embeddings of a whitened encoder need little further whitening


class Lda(Linear):
    """All characters have equal weight.

    Own code: scikit-learn's LinearDiscriminantAnalysis needs more pictures than classes and weights classes by pictures.
    """

    name = "lda"

    def fit(self, embeddings: np.ndarray, labels: np.ndarray) -> None:
        from crystal_eyes.encoder.whitening import class_means, whitening_matrix, within_covariance

        x = np.asarray(embeddings, dtype=np.float64)
        means, covariance = class_means(x, labels), within_covariance(x, labels)
        if not covariance.any():  # one picture of each character: all directions count alike
            covariance = np.eye(x.shape[1]) / x.shape[1]
        matrix = whitening_matrix(covariance, SHRINKAGE)
        weight = means @ matrix @ matrix
        self.weight, self.bias = weight.astype(np.float32), (-0.5 * (weight * means).sum(axis=1)).astype(np.float32)
