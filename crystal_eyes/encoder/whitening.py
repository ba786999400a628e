"""Whitening within characters: directions in which heads of one character differ count less.

As in linear discriminant analysis (Hariharan, Malik and Ramanan, 2012).
"""

import numpy as np


def class_means(embeddings: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """float64 [classes, d]: means of float [n, d] embeddings by int labels [n] from 0 to classes - 1, every class present."""
    means = np.zeros((int(labels.max()) + 1, embeddings.shape[1]))
    np.add.at(means, labels, embeddings)
    return means / np.bincount(labels)[:, None]


def within_covariance(embeddings: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """float64 [d, d]: covariance of float [n, d] embeddings around the means of their classes, int labels [n]."""
    _, labels = np.unique(labels, return_inverse=True)
    means = class_means(embeddings, labels)
    residuals = embeddings - means[labels]
    return residuals.T @ residuals / max(1, len(embeddings) - len(means))


def whitening_matrix(covariance: np.ndarray, shrinkage: float) -> np.ndarray:
    """float64 [d, d], symmetric: embeddings of this covariance, multiplied by it, vary about equally in every direction.

    shrinkage: from 0 to 1, how far the covariance is moved toward a multiple of the identity.
    """
    d = len(covariance)
    # one line of our own (sklearn.covariance.shrunk_covariance in the tests): training needs no scikit-learn otherwise
    shrunk = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / d * np.eye(d)
    values, vectors = np.linalg.eigh(shrunk)
    return vectors / np.sqrt(np.maximum(values, 1e-12)) @ vectors.T
