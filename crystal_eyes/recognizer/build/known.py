"""The known characters of a bundle."""

from functools import cached_property

import numpy as np

from crystal_eyes.classifiers.expected_points import ExpectedPoints
from crystal_eyes.classifiers.linear import Linear
from crystal_eyes.encoder.whitening import class_means
from crystal_eyes.recognizer.enrolled_unlikeness import EnrolledUnlikeness
from crystal_eyes.recognizer.gallery import compact, from_stored, representative
from crystal_eyes.recognizer.naming import mean_embedding
from crystal_eyes.recognizer.unlikeness import Evidence


class KnownCharacters:
    """A linear classifier, mean embeddings and reference heads of the same characters."""

    def __init__(self, classifier: Linear, embeddings: np.ndarray, characters: np.ndarray, references: int):
        """classifier: fitted on embeddings float32 [n, d] of characters (str [n]), labels in the order of the sorted names.

        references: maximum number of heads per character in the gallery.
        """
        self.classifier = classifier
        self._embeddings = embeddings
        self.names, labels = np.unique(characters, return_inverse=True)
        self._labels = labels
        rows = [np.flatnonzero(labels == label) for label in range(len(self.names))]
        self.means = np.stack([mean_embedding(embeddings[own]) for own in rows]).astype(np.float16)
        self.references = np.concatenate([own[representative(embeddings[own], references)] for own in rows])
        self.gallery = compact(embeddings[self.references])
        self.gallery_labels = labels[self.references]

    @cached_property
    def expected(self) -> ExpectedPoints:
        """Of these characters, as the bundle's file holds it."""
        return ExpectedPoints.from_stored(ExpectedPoints.fit(self._embeddings, self._labels).stored())

    def expected_logits(self, embeddings: np.ndarray) -> np.ndarray:
        """float32 [n, characters]: what `expected` says of embeddings [n, d]."""
        return self.expected.logits(embeddings, class_means(self._embeddings, self._labels), np.bincount(self._labels))

    def evidence(self, embeddings: np.ndarray) -> Evidence:
        """Evidence on n heads of embeddings float32 [n, d]."""
        # computed from the numbers that the bundle's files hold
        means, gallery = self.means.astype(np.float32), from_stored(self.gallery)
        return Evidence(self.classifier.logits(embeddings), embeddings @ means.T, embeddings @ gallery.T)

    def labels(self, characters: np.ndarray) -> np.ndarray:
        """int [n] of names [n], all of them known."""
        return np.searchsorted(self.names, characters)

    def enrolled_unlikeness(self) -> EnrolledUnlikeness:
        """The standard for enrolled characters that follows from the gallery alone."""
        return EnrolledUnlikeness.from_gallery(from_stored(self.gallery), self.gallery_labels, self.means.astype(np.float32))
