"""The common part of scikit-learn's other classifiers, saved with skops (arrays and JSON, no pickle)."""

import io
import json
import zipfile
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crystal_eyes.classifiers.base import Candidates, Classifier, best, in_chunks

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

FILE = "model.skops"
TRUSTED = ["sklearn.tree._tree.Tree"]  # the only type in these models that skops does not trust by itself
SCHEMA = "schema.json"


class ScikitLearn(Classifier):
    """A subclass says which model it is, and may change how it is fitted and how it scores."""

    def __init__(self, options: Any, seed: int, base: Classifier | None = None):
        super().__init__(options, seed, base)
        self.fitted: ClassifierMixin | None = None

    @abstractmethod
    def model(self, labels: np.ndarray) -> "ClassifierMixin":
        """The model, not fitted, for training labels [n]."""

    def fit(self, embeddings: np.ndarray, labels: np.ndarray) -> None:
        self.fitted = self.model(labels)
        self.fitted.fit(embeddings, labels)

    def scores(self, embeddings: np.ndarray) -> np.ndarray:
        """float [n, classes] of embeddings [n, d], larger: more likely."""
        assert self.fitted is not None, "not fitted"
        if hasattr(self.fitted, "predict_proba"):
            return self.fitted.predict_proba(embeddings)
        return decision(self.fitted, embeddings)

    def top_k(self, embeddings: np.ndarray, k: int) -> Candidates:
        return in_chunks(lambda chunk: best(self.scores(chunk), k), embeddings)

    def save(self, folder: Path) -> None:
        import skops.io

        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_bytes(_reproducible(skops.io.dumps(self.fitted)))

    def load(self, folder: Path) -> None:
        import skops.io

        self.fitted = skops.io.load(folder / FILE, trusted=TRUSTED)


def decision(model: "ClassifierMixin", embeddings: np.ndarray) -> np.ndarray:
    """float [n, classes]: the model's decision function of embeddings [n, d]."""
    scores = model.decision_function(embeddings)
    # for two classes scikit-learn returns one column: how far the second is preferred
    return np.stack([-scores, scores], axis=1) if scores.ndim == 1 else scores


def _reproducible(data: bytes) -> bytes:
    """The same skops archive without the time of writing and the memory addresses that skops puts in as identifiers."""
    numbers: dict[int, int] = {}

    def renumber(node: Any) -> Any:
        if isinstance(node, list):
            return [renumber(one) for one in node]
        if not isinstance(node, dict):
            return node
        renumbered = {}
        for name, value in node.items():
            if name == "__id__":
                value = numbers.setdefault(value, len(numbers))
            elif name == "file":
                value = rename(value)
            renumbered[name] = renumber(value)
        return renumbered

    def rename(file: str) -> str:
        stem, _, suffix = file.partition(".")
        return f"{numbers.setdefault(int(stem), len(numbers))}.{suffix}"

    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        schema = renumber(json.loads(old.read(SCHEMA)))
        new.writestr(zipfile.ZipInfo(SCHEMA), json.dumps(schema))
        for name in old.namelist():
            if name != SCHEMA:
                new.writestr(zipfile.ZipInfo(rename(name)), old.read(name))
    return out.getvalue()
