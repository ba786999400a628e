"""scikit-learn's linear classifiers: they find the layer, the layer answers."""

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression, RidgeClassifier

from crystal_eyes.classifiers.linear import Linear
from crystal_eyes.errors import UserError
from crystal_eyes.machine import memory
from pipeline.parameters.steps import Classify


def model(config: Classify) -> ClassifierMixin:
    """ridge or logistic_regression, not fitted yet. Characters count alike, however many pictures each has."""
    if config.classifier == "ridge":
        return RidgeClassifier(config.ridge_alpha, class_weight="balanced")
    return LogisticRegression(C=config.logistic_regression_c, class_weight="balanced", max_iter=200)


class ScikitLinear(Linear):
    def __init__(self, model: ClassifierMixin):
        super().__init__()
        self.model = model

    def fit(self, embeddings: np.ndarray, labels: np.ndarray) -> None:
        # both keep a table of every embedding's scores, and another one as large to improve it
        needed, here = 2 * len(embeddings) * (int(labels.max()) + 1) * embeddings.dtype.itemsize, memory()
        if needed > here:
            raise UserError(
                f"{len(embeddings)} embeddings of {labels.max() + 1} characters take {needed / 2**30:.0f} GiB in "
                f"{type(self.model).__name__}, this machine has {here / 2**30:.0f}: leave it out of classifiers and take "
                "recipe=2020, whose perceptron needs little, or fewer pictures_per_character"
            )
        # numbers of a unit-length embedding are about 1/sqrt(d): brought to about 1, the scale that the penalties expect
        scale = np.float32(np.sqrt(embeddings.shape[1]))
        self.model.fit(embeddings * scale, labels)
        weight, bias = np.atleast_2d(self.model.coef_) * scale, np.atleast_1d(self.model.intercept_)
        if len(weight) == 1:  # two classes: scikit-learn keeps the difference only
            weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        self.weight, self.bias = weight.astype(np.float32), bias.astype(np.float32)
