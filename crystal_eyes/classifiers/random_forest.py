"""A random forest."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crystal_eyes.classifiers.scikit_learn import ScikitLearn
from crystal_eyes.options import option

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

MAX_BYTES = 2**30  # of the leaves


class RandomForest(ScikitLearn):
    name = "random_forest"

    @dataclass(frozen=True)
    class Options:
        trees: int = option(100, "number of trees", low=1, high=10_000)

    def model(self, labels: np.ndarray) -> "ClassifierMixin":
        from sklearn.ensemble import RandomForestClassifier

        # every node keeps a float64 for each class: the number of leaves is limited so that the forest stays below MAX_BYTES
        leaves = MAX_BYTES // (self.options.trees * 2 * (int(labels.max()) + 1) * 8)
        return RandomForestClassifier(
            self.options.trees,
            random_state=self.seed,
            n_jobs=-1,
            max_leaf_nodes=max(2, leaves) if leaves < len(labels) else None,
            verbose=1,  # with many characters it takes long: progress is printed
        )

    def fit(self, embeddings: np.ndarray, labels: np.ndarray) -> None:
        super().fit(embeddings, labels)
        assert self.fitted is not None
        self.fitted.set_params(verbose=0)
