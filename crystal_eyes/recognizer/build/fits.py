"""The classifiers that building a bundle needs: the one that goes into it, those that it is calibrated and measured with."""

import numpy as np

from crystal_eyes.data.catalogue import artworks
from crystal_eyes.recognizer.build.inputs import BundleData
from crystal_eyes.recognizer.build.known import KnownCharacters
from crystal_eyes.recognizer.build.labeled_heads import LabeledHeads

BUNDLE, CALIBRATION, REPORT = "bundle", "calibration", "report"


class Fits:
    """Known characters with a classifier that was fitted on some of the heads. What is fitted once is kept.

    Without all_heads, every purpose has the given classifier, which was fitted on the training part. With it, the bundle's is
    fitted on all heads, the calibration's on all but those of the artworks that calibrate, the report's on all but those of the
    artworks in the report: so calibration and report are measured on heads that neither classifier nor encoder has seen, with
    nearly as many heads as the bundle has.
    """

    def __init__(
        self,
        data: BundleData,
        references: int,
        all_heads: bool,
        *,
        line: LabeledHeads | None = None,
        degraded: LabeledHeads | None = None,
    ):
        """line, degraded: heads of the training part, see KnownCharacters."""
        self._data, self._references, self._line, self._degraded = data, references, line, degraded
        self._found: dict[bytes, KnownCharacters] = {}
        train = data.roles["train"]
        self.rows = dict.fromkeys((BUNDLE, CALIBRATION, REPORT), train)  # int rows of the table that each is fitted on
        if all_heads:
            drawn = artworks(data.table).astype(str)
            self.rows = {BUNDLE: np.arange(len(drawn))}
            for part in (CALIBRATION, REPORT):
                self.rows[part] = np.flatnonzero(~np.isin(drawn, drawn[data.roles[part]]))

    def __call__(self, part: str, without: np.ndarray | None = None) -> KnownCharacters:
        """part: BUNDLE, CALIBRATION or REPORT; without: str [k], characters that are left out."""
        data = self._data
        rows = self.rows[part] if without is None else self.rows_without(part, without)
        key = rows.tobytes()
        if key not in self._found:
            embeddings, characters = data.embeddings[rows], data.characters[rows]
            classifier = data.classifier
            if not np.array_equal(rows, data.roles["train"]):
                names, labels = np.unique(characters, return_inverse=True)
                away = "" if without is None else f", without the {len(without)} that serve as unknown ones"
                print(f"fitting a classifier on {len(rows)} heads of {len(names)} characters{away}", flush=True)
                classifier = classifier.unfitted()
                classifier.fit(embeddings, labels)
            self._found[key] = KnownCharacters(classifier, embeddings, characters, self._references, self._line, self._degraded)
        return self._found[key]

    def rows_without(self, part: str, without: np.ndarray) -> np.ndarray:
        """int: the rows that a part's classifier is fitted on if these characters (str [k]) are left out."""
        rows = self.rows[part]
        return rows[~np.isin(self._data.characters[rows], without)]
