"""Ridge regression to one-hot labels."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crystal_eyes.classifiers.scikit_linear import ScikitLinear
from crystal_eyes.options import option

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin


class Ridge(ScikitLinear):
    name = "ridge"

    @dataclass(frozen=True)
    class Options:
        alpha: float = option(0.01, "regularization strength", low=0.0, high=1e6)

    def model(self) -> "ClassifierMixin":
        from sklearn.linear_model import RidgeClassifier

        return RidgeClassifier(self.options.alpha, class_weight="balanced")
