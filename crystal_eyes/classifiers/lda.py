"""Linear discriminant analysis whose class means are as certain as their numbers of pictures allow.

Probabilistic linear discriminant analysis (Ioffe, Probabilistic Linear Discriminant Analysis, 2006; Prince and Elder,
Probabilistic Linear Discriminant Analysis for Inferences About Identity, 2007): heads vary around the point of their
character by one covariance, the points of characters vary around their common mean by another one. The fewer heads a
character has, the nearer to the common mean its point is expected.
"""

import numpy as np

from crystal_eyes.classifiers.linear import Linear

SHRINKAGE = 0.8  # chosen in docs/results.md: embeddings of a whitened encoder need little further whitening
# chosen there too: an encoder draws the heads that it was trained on closer together than others, so beside the variance within
# characters, the variance among them looks too large
AMONG = 0.4
LEAST = 1e-3  # ratio of the variances: in no direction all characters count as one


class Lda(Linear):
    """All characters have equal weight.

    Own code: scikit-learn's LinearDiscriminantAnalysis needs more pictures than classes, weights classes by pictures, and takes
    the mean of one picture for as certain as that of a hundred. The layer is that of the expected points, with the
    covariance of a head around a point that is known: what its uncertainty adds would need squares of embeddings, and measured
    no better.
    """

    name = "lda"

    def fit(self, embeddings: np.ndarray, labels: np.ndarray) -> None:
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
        ratios, directions = np.linalg.eigh(white @ among @ white)  # of the variance among characters to that within
        evidence = AMONG * np.maximum(ratios, LEAST) * counts[:, None]
        points = (apart @ white @ directions) * (evidence / (evidence + 1))
        weight = points @ directions.T @ white
        self.weight = weight.astype(np.float32)
        self.bias = (-0.5 * (points**2).sum(axis=1) - weight @ center).astype(np.float32)
