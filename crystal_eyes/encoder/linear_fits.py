"""Linear fits in closed form: principal directions, and a layer by ridge regression."""

import numpy as np

RIDGE = 1e-2  # penalty of fit_linear_layer, relative to the mean variance of its inputs


def principal_directions(values: np.ndarray, count: int) -> np.ndarray:
    """float64 [d, count]: orthonormal directions with the largest second moments of float [n, d]. Not centered."""
    _, vectors = np.linalg.eigh(values.T.astype(np.float64) @ values)
    return vectors[:, ::-1][:, :count].copy()  # torch takes no negative strides


def fit_linear_layer(inputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight [d, features] and bias [d] of the layer from inputs [n, features] to targets [n, d], by ridge regression."""
    inputs, targets = inputs.astype(np.float64), targets.astype(np.float64)
    input_mean, target_mean = inputs.mean(axis=0), targets.mean(axis=0)
    gram = (inputs - input_mean).T @ (inputs - input_mean)
    gram += RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    weight = np.linalg.solve(gram, (inputs - input_mean).T @ (targets - target_mean)).T
    return weight, target_mean - weight @ input_mean
