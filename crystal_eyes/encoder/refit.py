"""The last stage of a training: a new embedding layer, fitted in closed form to the training heads' rooted features.

Features are whitened within characters, so that directions in which heads of one character differ count less (as in linear
discriminant analysis: Hariharan, Malik and Ramanan, 2012), and projected to the length of an embedding. The layer is then
fitted by ridge regression to targets on the way from each head's whitened embedding to the mean of its character. What this
brings to characters that were never trained on: docs/results.md.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder.linear_fits import fit_linear_layer, principal_directions
from crystal_eyes.encoder.loop import embed_heads, training_device
from crystal_eyes.encoder.network import ROOTED, Encoder
from crystal_eyes.encoder.whitening import class_means, whitening_matrix, within_covariance

SHRINKAGE = 0.5  # of the covariance within characters
# How far targets are moved from a head's whitened embedding to the mean of its character: TOWARD_MEAN for very many
# characters, half as far for HALFWAY, because the means of a few characters leave out what distinguishes others
TOWARD_MEAN, HALFWAY = 0.6, 300
MAX_HEADS = 20_000  # that the layer is fitted on: a gigabyte of memory


def refit_embedding_layer(encoder: Encoder, catalogue: Catalogue, table: pd.DataFrame, seed: int = 0) -> None:
    """Give the encoder rooted pooling and an embedding layer fitted on the heads of the table. It is on the CPU afterwards."""
    sample = table.sample(min(len(table), MAX_HEADS), random_state=seed).reset_index(drop=True)
    description = replace(encoder.description, pooling=ROOTED)
    size, device = description.image_size, training_device()
    features = embed_heads(encoder, catalogue, sample, size, device, encoder.rooted_features)
    _, labels = np.unique(sample["character"].to_numpy(str), return_inverse=True)
    weight, bias = fit_linear_layer(features, embedding_targets(features, labels, description.embedding_size))
    encoder.to("cpu")
    encoder.description = description
    encoder.set_embedding_layer()
    with torch.no_grad():
        encoder.embedding_layer.weight.copy_(torch.from_numpy(weight))
        encoder.embedding_layer.bias.copy_(torch.from_numpy(bias))


def embedding_targets(features: np.ndarray, labels: np.ndarray, size: int) -> np.ndarray:
    """float64 [n, size], unit length, of features [n, f] with int labels [n]. Beyond f, coordinates are 0."""
    whitened = features @ whitening_matrix(within_covariance(features, labels), SHRINKAGE)
    directions = principal_directions(whitened - whitened.mean(axis=0), size)
    embeddings = np.zeros((len(features), size))
    embeddings[:, : directions.shape[1]] = _unit_length(whitened @ directions)
    means = _unit_length(class_means(embeddings, labels))
    share = TOWARD_MEAN * len(means) / (len(means) + HALFWAY)
    return _unit_length((1 - share) * embeddings + share * means[labels])


def _unit_length(values: np.ndarray) -> np.ndarray:
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
