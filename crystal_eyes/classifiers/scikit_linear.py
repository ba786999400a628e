"""The common part of scikit-learn's linear classifiers: scikit-learn finds the layer, Linear applies it."""

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from crystal_eyes.classifiers.linear import Linear
from crystal_eyes.errors import UserError
from crystal_eyes.machine import memory

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin


class ScikitLinear(Linear):
    """Characters have equal weight, regardless of their numbers of pictures."""

    @abstractmethod
    def model(self) -> "ClassifierMixin":
        """The scikit-learn model, not fitted."""

    def fit(self, embeddings: np.ndarray, labels: np.ndarray) -> None:
        model, classes = self.model(), int(labels.max()) + 1
        # these models keep a table of the scores of every embedding, and a second one while they improve it
        needed, available = 2 * len(embeddings) * classes * embeddings.dtype.itemsize, memory()
        if needed > available:
            raise UserError(
                f"{type(model).__name__} needs {needed / 2**30:.0f} GiB for {len(embeddings)} embeddings of {classes} "
                f"characters, but this machine has {available / 2**30:.0f} GiB: use the perceptron, which needs little memory, "
                "or fewer pictures of each character"
            )
        # the components of a unit-length embedding are about 1/sqrt(d); the penalties are meant for inputs of about 1
        scale = np.float32(np.sqrt(embeddings.shape[1]))
        model.fit(embeddings * scale, labels)
        weight: np.ndarray = np.atleast_2d(model.coef_) * scale
        bias: np.ndarray = np.atleast_1d(model.intercept_)
        if len(weight) == 1:  # for two classes scikit-learn keeps only the difference
            weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        self.weight, self.bias = weight.astype(np.float32), bias.astype(np.float32)
