"""Multinomial logistic regression."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crystal_eyes.classifiers.scikit_linear import ScikitLinear
from crystal_eyes.options import option

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin


class LogisticRegression(ScikitLinear):
    name = "logistic_regression"

    @dataclass(frozen=True)
    class Options:
        c: float = option(0.1, "inverse of the regularization strength", low=1e-6, high=1e6)

    def model(self) -> "ClassifierMixin":
        from sklearn import linear_model

        return linear_model.LogisticRegression(C=self.options.c, class_weight="balanced", max_iter=200)
