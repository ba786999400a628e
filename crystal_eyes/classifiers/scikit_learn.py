"""scikit-learn's classifiers behind our interface, saved with skops (arrays and JSON, no pickle)."""

from pathlib import Path
from typing import Self

import numpy as np
import skops.io
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.svm import LinearSVC

from crystal_eyes.classifiers.base import best, in_pieces
from pipeline.parameters.steps import Classify

FILE = "model.skops"
TRUSTED = ["sklearn.tree._tree.Tree"]  # the only type in these models that skops doesn't know by itself
FOREST_BYTES = 2**30


class ScikitLearn:
    def __init__(self, model: ClassifierMixin):
        self.model = model

    @classmethod
    def create(cls, config: Classify) -> Self:
        """linear_svc, k_neighbors, random_forest or nearest_centroid."""
        models = {
            "linear_svc": lambda: LinearSVC(C=config.linear_svc_c, random_state=config.seed),
            "k_neighbors": lambda: KNeighborsClassifier(config.k_neighbors_k, weights="distance", metric="cosine"),
            "random_forest": lambda: RandomForestClassifier(config.random_forest_trees, random_state=config.seed, n_jobs=-1),
            "nearest_centroid": NearestCentroid,
        }
        return cls(models[config.classifier]())

    def fit(self, embeddings: np.ndarray, labels: np.ndarray) -> None:
        if isinstance(self.model, RandomForestClassifier):
            # every node keeps a float64 for each class: leaves are limited so that the forest stays below 1 GiB
            classes = int(labels.max()) + 1
            leaves = FOREST_BYTES // (self.model.n_estimators * 2 * classes * 8)
            # with many characters it also takes long: verbose says how far it is
            self.model.set_params(max_leaf_nodes=max(2, leaves) if leaves < len(labels) else None, verbose=1)
        if isinstance(self.model, KNeighborsClassifier):
            self.model.set_params(n_neighbors=min(self.model.n_neighbors, len(labels)))
        with np.errstate(invalid="ignore"):
            self.model.fit(embeddings, labels)
        if isinstance(self.model, RandomForestClassifier):
            self.model.set_params(verbose=0)
        if isinstance(self.model, NearestCentroid):
            # with one picture a class there is no deviation to scale by (0 / 0): 0 means unscaled to scikit-learn
            deviation = self.model.within_class_std_dev_
            self.model.within_class_std_dev_ = np.where(np.isfinite(deviation), deviation, 0.0)

    def top_k(self, embeddings: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        return in_pieces(lambda piece: best(self._scores(piece), k), embeddings)

    def _scores(self, embeddings: np.ndarray) -> np.ndarray:
        # a nearest centroid's probabilities are 0 for all but a few classes, which would then stand in no order
        if hasattr(self.model, "predict_proba") and not isinstance(self.model, NearestCentroid):
            return self.model.predict_proba(embeddings)
        scores = self.model.decision_function(embeddings)
        # with two classes scikit-learn gives one column: how much the second is preferred
        return np.stack([-scores, scores], axis=1) if scores.ndim == 1 else scores

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        skops.io.dump(self.model, folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> Self:
        return cls(skops.io.load(folder / FILE, trusted=TRUSTED))
