"""The nearest class mean."""

from typing import TYPE_CHECKING

import numpy as np

from crystal_eyes.classifiers.scikit_learn import ScikitLearn, decision

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin


class NearestCentroid(ScikitLearn):
    name = "nearest_centroid"

    def model(self, labels: np.ndarray) -> "ClassifierMixin":
        from sklearn import neighbors

        return neighbors.NearestCentroid()

    def fit(self, embeddings: np.ndarray, labels: np.ndarray) -> None:
        with np.errstate(invalid="ignore"):
            super().fit(embeddings, labels)
        assert self.fitted is not None
        # with one picture per class there is no deviation to scale by (0 / 0); scikit-learn takes 0 for "not scaled"
        deviation = self.fitted.within_class_std_dev_
        self.fitted.within_class_std_dev_ = np.where(np.isfinite(deviation), deviation, 0.0)

    def scores(self, embeddings: np.ndarray) -> np.ndarray:
        # its probabilities are 0 for all but a few classes, which would then be in no order
        assert self.fitted is not None, "not fitted"
        return decision(self.fitted, embeddings)
