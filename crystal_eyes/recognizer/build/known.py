"""The known characters of a bundle."""

from functools import cached_property

import numpy as np

from crystal_eyes.classifiers.expected_points import ExpectedPoints
from crystal_eyes.classifiers.lda import Lda
from crystal_eyes.classifiers.line_noise import LineNoise
from crystal_eyes.classifiers.linear import Linear
from crystal_eyes.encoder.whitening import class_means
from crystal_eyes.recognizer.build.labeled_heads import LabeledHeads
from crystal_eyes.recognizer.enrolled_unlikeness import EnrolledUnlikeness
from crystal_eyes.recognizer.gallery import compact, from_stored, representative
from crystal_eyes.recognizer.naming import mean_embedding
from crystal_eyes.recognizer.unlikeness import Evidence

LEAST_HEADS = 3  # of a character, for its other heads to be compared with their mean


class KnownCharacters:
    """A linear classifier, mean embeddings and reference heads of the same characters."""

    def __init__(
        self,
        classifier: Linear,
        embeddings: np.ndarray,
        characters: np.ndarray,
        references: int,
        line: LabeledHeads | None = None,
        degraded: LabeledHeads | None = None,
    ):
        """classifier: fitted on embeddings float32 [n, d] of characters (str [n]), labels in the order of the sorted names.

        references: maximum number of heads per character in the gallery; line: heads in line art or gray, of these characters
        or others, from which it is learned how such heads vary. None: they are named as colored ones; degraded: colored heads
        that were degraded, from which it is learned how colored heads vary, with a layer of that for the classifier's. None:
        from the embeddings. The classifier has to be lda for either.
        """
        self._line, self._degraded = line, degraded
        self.classifier = classifier
        self._embeddings = embeddings
        self.names, labels = np.unique(characters, return_inverse=True)
        self._labels = labels
        rows = [np.flatnonzero(labels == label) for label in range(len(self.names))]
        self.means = np.stack([mean_embedding(embeddings[own]) for own in rows]).astype(np.float16)
        self.references = np.concatenate([own[representative(embeddings[own], references)] for own in rows])
        self.gallery = compact(embeddings[self.references])
        self.gallery_labels = labels[self.references]
        if isinstance(classifier, Lda) and self.expected.one_length:
            self.classifier = classifier.unfitted()
            self.classifier.fit_to(self.expected, embeddings, labels)
            self.classifier.round_to_stored()

    @cached_property
    def expected(self) -> ExpectedPoints:
        """Of these characters, as the bundle's file holds it."""
        some = self._enough_of(self._degraded)
        degraded = None if some is None else (some.embeddings, self.labels(some.characters))
        fitted = ExpectedPoints.fit(self._embeddings, self._labels, degraded)
        return ExpectedPoints.from_stored(fitted.stored(), fitted.one_length)

    def _enough_of(self, heads: LabeledHeads | None) -> LabeledHeads | None:
        """Those of characters with LEAST_HEADS heads. None where a covariance can't be learned from them, or is of no use as
        the classifier's layer is not that of expected points."""
        if heads is None or not isinstance(self.classifier, Lda):
            return None
        some = heads[np.isin(heads.characters, self.names[np.bincount(self._labels) >= LEAST_HEADS])]
        return some if len(some) >= max(2, self._embeddings.shape[1]) else None

    @cached_property
    def line_noise(self) -> LineNoise | None:
        """How heads in line art or gray vary around these characters, as the bundle's file holds it. None: not known."""
        some = self._enough_of(self._line)
        if some is None:
            return None
        means, _ = self._means_and_counts
        noise = LineNoise.fit(self.expected, self.expected.scaled(some.embeddings) - means[self.labels(some.characters)])
        return LineNoise.from_stored(self.expected, noise.stored())

    @cached_property
    def line_bias_changes(self) -> np.ndarray:
        """float32 [characters]: what heads in line art or gray add to the classifier's biases, as the bundle holds it."""
        if self.line_noise is None:
            return np.zeros(len(self.names), np.float32)
        return self.line_noise.bias_changes(*self._means_and_counts).round(4)

    @cached_property
    def _means_and_counts(self) -> tuple[np.ndarray, np.ndarray]:
        """float [characters, d], not of unit length, and int [characters], of the scaled heads that it was fitted on."""
        return class_means(self.expected.scaled(self._embeddings), self._labels), np.bincount(self._labels)

    def expected_logits(
        self, heads: LabeledHeads, means: np.ndarray | None = None, counts: np.ndarray | None = None
    ) -> np.ndarray:
        """float32 [n, characters]: what `expected` says of heads, by default about these characters.

        means: float [c, d] of so many scaled heads each of other characters (counts: int [c]).
        """
        if means is None or counts is None:
            means, counts = self._means_and_counts
        scaled = self.expected.scaled(heads.embeddings)
        said = self.expected.logits(scaled, means, counts)
        if self.line_noise is not None and heads.line.any():
            said[heads.line] = self.line_noise.logits(scaled[heads.line], means, counts)
        return said

    def logits(self, heads: LabeledHeads) -> np.ndarray:
        """float32 [n, characters]: the classifier's."""
        asked = np.array(self.expected.scaled(heads.embeddings), np.float32)
        if self.line_noise is not None and heads.line.any():
            asked[heads.line] = self.line_noise.adapted(asked[heads.line])
        return self.classifier.logits(asked) + heads.line[:, None] * self.line_bias_changes

    def evidence(self, heads: LabeledHeads) -> Evidence:
        """Evidence on n heads."""
        # computed from the numbers that the bundle's files hold
        means, gallery = self.means.astype(np.float32), from_stored(self.gallery)
        return Evidence(self.logits(heads), heads.embeddings @ means.T, heads.embeddings @ gallery.T)

    def labels(self, characters: np.ndarray) -> np.ndarray:
        """int [n] of names [n], all of them known."""
        return np.searchsorted(self.names, characters)

    def enrolled_unlikeness(self) -> EnrolledUnlikeness:
        """The standard for enrolled characters that follows from the gallery alone."""
        return EnrolledUnlikeness.from_gallery(from_stored(self.gallery), self.gallery_labels, self.means.astype(np.float32))
