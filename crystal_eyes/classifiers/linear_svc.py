"""A linear support vector machine, one-vs-rest."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crystal_eyes.classifiers.scikit_learn import ScikitLearn
from crystal_eyes.options import option

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin


class LinearSvc(ScikitLearn):
    """Not a subclass of Linear: its scores are margins, not logits that a bundle could calibrate."""

    name = "linear_svc"

    @dataclass(frozen=True)
    class Options:
        c: float = option(1.0, "inverse of the regularization strength", low=1e-6, high=1e6)

    def model(self, labels: np.ndarray) -> "ClassifierMixin":
        from sklearn.svm import LinearSVC

        return LinearSVC(C=self.options.c, random_state=self.seed)
