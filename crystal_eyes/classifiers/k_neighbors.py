"""k nearest neighbors by cosine distance, weighted by inverse distance."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crystal_eyes.classifiers.scikit_learn import ScikitLearn
from crystal_eyes.options import option

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin


class KNeighbors(ScikitLearn):
    name = "k_neighbors"

    @dataclass(frozen=True)
    class Options:
        k: int = option(10, "number of neighbors that vote, weighted by inverse distance", low=1, high=1000)

    def model(self, labels: np.ndarray) -> "ClassifierMixin":
        from sklearn.neighbors import KNeighborsClassifier

        return KNeighborsClassifier(min(self.options.k, len(labels)), weights="distance", metric="cosine")
