"""Whitening within characters: directions in which pictures of one character differ count less.

(As in linear discriminant analysis; Hariharan, Malik and Ramanan, 2012.) Being linear, it is folded into the embedding
layer, so the encoder stays as large and as fast as it was. It is done before embeddings are brought to unit length, about the
mean of all: what all heads have in common varies least within a character, and would be blown up most.
"""

import numpy as np
import torch

SHRINKAGE = 0.2  # chosen in benchmarks/recipes.md


def class_means(embeddings: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """float64 [classes, d]: means of float [n, d] embeddings by int labels [n] from 0 to classes - 1, every class present."""
    means = np.zeros((int(labels.max()) + 1, embeddings.shape[1]))
    np.add.at(means, labels, embeddings)
    return means / np.bincount(labels)[:, None]


def within_covariance(embeddings: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """float64 [d, d]: covariance of float [n, d] embeddings around the means of their classes, int labels [n]."""
    _, labels = np.unique(labels, return_inverse=True)
    means = class_means(embeddings, labels)
    apart = embeddings - means[labels]
    return apart.T @ apart / max(1, len(embeddings) - len(means))


def whitening_matrix(covariance: np.ndarray, shrinkage: float) -> np.ndarray:
    """float64 [d, d], symmetric: multiplying by it spreads embeddings of this covariance about alike in every direction.

    shrinkage: how far the covariance is drawn toward a multiple of the identity, 0 to 1: few pictures say little.
    """
    d = len(covariance)
    shrunk = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / d * np.eye(d)
    values, vectors = np.linalg.eigh(shrunk)
    return vectors / np.sqrt(np.maximum(values, 1e-12)) @ vectors.T


def fold(matrix: np.ndarray, centre: np.ndarray, layer: torch.nn.Linear) -> None:
    """Let a layer give what the symmetric matrix [d, d] makes of its outputs less centre [d]."""
    weight, bias = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(matrix @ weight).float())
        layer.bias.copy_(torch.from_numpy(matrix @ (bias - centre)).float())
