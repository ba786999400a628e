"""Embeddings to calibrated answers over the bundle's characters and the enrolled ones."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from crystal_eyes.errors import UserError
from crystal_eyes.image_stats import is_monochrome
from crystal_eyes.onnx_session import open_session
from crystal_eyes.products import product
from crystal_eyes.recognizer.answers import LikelySeries, full_name
from crystal_eyes.recognizer.bundle import CALIBRATION, CHARACTER, CLASSIFIER, MEANS, REBUILD, Bundle
from crystal_eyes.recognizer.calibration import Calibration, known_probability
from crystal_eyes.recognizer.characters import Known, characters_of
from crystal_eyes.recognizer.enrolled_logits import Layer, read_enrolled_logits
from crystal_eyes.recognizer.enrolled_unlikeness import EnrolledUnlikeness, cohort_of
from crystal_eyes.recognizer.gallery import Gallery
from crystal_eyes.recognizer.stored import Shortlist, open_stored
from crystal_eyes.recognizer.unlikeness import Evidence, Unlikeness

NONE_STORED = Shortlist()


@dataclass(frozen=True)
class Named:
    """The answers for n heads."""

    probabilities: np.ndarray  # float32 [n, labels]; what they and `others` lack to 1 is the probability of nobody among them
    to_gallery: np.ndarray  # float32 [n, references]
    unlikeness: np.ndarray  # float64 [n]: to the trained characters
    p_values: np.ndarray  # float64 [n]
    stranger_shares: np.ndarray  # float64 [n]
    stored: Shortlist  # whose labels follow those of Naming.characters, and whose heads those of its gallery
    others: np.ndarray  # float32 [n]: probability that it is a stored character that is not among them


class Naming:
    """Names embeddings: logits, class means and gallery of a bundle, with its calibration."""

    def __init__(self, bundle: Bundle, threads: int | None = None):
        trained = {full_name(*one) for one in bundle.characters}
        # by label; without enrolled characters that a newer release was trained on
        self.known = [one for one in characters_of(bundle) if not (one.folder and str(one) in trained)]
        enrolled = [one.folder for one in self.known if one.folder]
        self.original_names = [one.original_name for one in self.known]  # by label, "" where unknown
        self.characters = bundle.characters  # (character, series) by label
        try:
            self._classifier = open_session((bundle.trained / CLASSIFIER).read_bytes(), threads)
        except Exception as error:  # onnxruntime has its own exception types, none of them public
            reason = str(error).splitlines()[0]
            raise UserError(f"{bundle.trained / CLASSIFIER} can't be read ({reason}): {REBUILD}") from None
        self.trained = len(self.characters)
        self.gallery = Gallery([bundle.trained, *enrolled])
        label_of = {character: label for label, (character, _) in enumerate(self.characters)}
        own = Gallery([bundle.trained])
        means = [np.load(bundle.trained / MEANS, allow_pickle=False).astype(np.float32)]
        known = self._classifier.get_outputs()[0].shape[1]
        if not known == self.trained == len(means[0]) or not label_of.keys() >= set(own.characters):
            raise UserError(f"{bundle.trained}: its files contain different numbers of characters: {REBUILD}")
        labels = [np.array([label_of[character] for character in own.characters], int)]
        self.stored = open_stored(bundle, threads)
        self.enrolled_logits = read_enrolled_logits(bundle)
        scaled = [np.zeros((0, means[0].shape[1]), np.float32)]  # means of the scaled heads of enrolled characters
        self.only_line: list[bool] = []  # by enrolled character: all of its heads are line art or gray
        for folder in enrolled:
            described, heads = json.loads((folder / CHARACTER).read_text("utf-8")), Gallery([folder])
            labels.append(np.full(len(heads.embeddings), len(self.characters)))
            self.characters.append((described["character"], described["series"]))
            scaled.append(self.enrolled_logits.scaled(heads.embeddings).mean(axis=0, keepdims=True))
            means.append(mean_embedding(heads.embeddings)[None])
            self.only_line.append(all(is_monochrome(heads.picture(row)) for row in range(len(heads.embeddings))))
        self.gallery_labels = np.concatenate(labels)  # int [references]: row of each reference head in characters
        self.series = dict(self.characters)  # by name; of the last one where characters of several series have a name
        self._series_names, self._series_labels = np.unique([series for _, series in self.characters], return_inverse=True)
        self.means = np.concatenate(means)
        self._is_trained = trained.__contains__
        self._references = len(own.characters)  # of the trained characters, before all others
        self._counts = np.bincount(self.gallery_labels, minlength=len(self.characters))[self.trained :]
        self._starts = np.cumsum(self._counts) - self._counts  # of each enrolled character's references after those
        values = bundle.json(CALIBRATION)
        self.color, self.line = (Calibration.from_dict(values[kind]) for kind in ("colour", "line"))
        self.unlikeness = Unlikeness.from_dict(values["unlikeness"])
        changes = values["line_bias_changes"] if self.enrolled_logits.line_noise else np.zeros(self.trained)
        self._line_bias_changes = np.array(changes, np.float32)  # [trained]
        if len(self._line_bias_changes) != self.trained:
            raise UserError(f"{bundle.trained}: its files contain different numbers of characters: {REBUILD}")
        # of the enrolled characters
        self.layer = self.enrolled_logits.layer(np.concatenate(scaled), self._counts)
        built = values.get("enrolled_unlikeness")
        self._enrolled_unlikeness = None if built is None else EnrolledUnlikeness.from_dict(built)

    @cached_property
    def enrolled_unlikeness(self) -> EnrolledUnlikeness:
        """How unlike the heads of an enrolled character others may be; computed for a bundle that was built without it."""
        if self._enrolled_unlikeness is not None:
            return self._enrolled_unlikeness
        trained = self.gallery_labels < self.trained
        return EnrolledUnlikeness.from_gallery(
            self.gallery.embeddings[trained], self.gallery_labels[trained], self.means[: self.trained]
        )

    def evidence(self, embeddings: np.ndarray, monochrome: np.ndarray) -> Evidence:
        """Evidence on n heads. Like __call__."""
        return self._evidence(embeddings, self._adapted(embeddings, monochrome), monochrome)

    def _evidence(self, embeddings: np.ndarray, adapted: np.ndarray, monochrome: np.ndarray) -> Evidence:
        logits = self._classifier.run(None, {"embeddings": adapted})[0]
        logits = logits + monochrome[:, None] * self._line_bias_changes
        to_means = cosines(embeddings, self.means)
        added = logits_of(self.layer, adapted, monochrome)
        return Evidence(np.concatenate([logits, added], axis=1), to_means, cosines(embeddings, self.gallery.embeddings))

    def __call__(self, embeddings: np.ndarray, monochrome: np.ndarray) -> Named:
        """The answers for n heads.

        embeddings: float32 [n, d], unit length; monochrome: bool [n], whether each head is line art or gray.
        """
        adapted = self._adapted(embeddings, monochrome)
        evidence = self._evidence(embeddings, adapted, monochrome)
        unlikeness = self.unlikeness(self._of_trained(evidence))
        stored = NONE_STORED
        if self.stored:
            stored = self.stored.shortlist(embeddings, adapted, monochrome, self._is_trained)
        enrolled = self._enrolled(evidence, embeddings, stored)
        logits, labels = evidence.logits, len(self.characters) + len(stored.known)
        if self.stored:
            own = self._logits_of_stored(adapted, monochrome, stored)
            logits = np.concatenate([logits, own, stored.others], axis=1)

        def by_kind(method: str, values: np.ndarray) -> np.ndarray:
            color, line = (getattr(calibration, method)(values) for calibration in (self.color, self.line))
            return np.where(monochrome[:, None] if values.ndim == 2 else monochrome, line, color)

        probabilities = by_kind("probabilities", logits)
        p_values, shares = by_kind("p_values", unlikeness), by_kind("stranger_shares", unlikeness)
        if enrolled.heads.size:
            cohort = cohort_of(evidence.to_means[:, : self.trained])
            line = monochrome[:, None] | enrolled.only_line
            p, share = self.enrolled_unlikeness.of_each(enrolled.to_means, enrolled.nearest, enrolled.heads, cohort, line)
            p_values = np.maximum(p_values, np.where(enrolled.among, p, 0).max(axis=1))
            first = probabilities[:, :labels].argmax(axis=1) - self.trained
            of_first = np.take_along_axis(share, first[:, None].clip(0), axis=1)[:, 0]
            added = len(self._counts) + (len(self.stored) if self.stored else 0)
            # the share that comes this close to any of the enrolled characters
            shares = np.where(first >= 0, 1 - (1 - of_first) ** added, shares)
        if len(self.color.strangers):  # else nothing is known about strangers
            probabilities = probabilities * known_probability(p_values, shares).astype(np.float32)[:, None]
        to_gallery = np.concatenate([evidence.to_gallery, enrolled.to_stored], axis=1) if self.stored else evidence.to_gallery
        others = probabilities[:, labels:].sum(axis=1)
        return Named(probabilities[:, :labels], to_gallery, unlikeness, p_values, shares, stored, others)

    def _adapted(self, embeddings: np.ndarray, monochrome: np.ndarray) -> np.ndarray:
        """float32 [n, d]: what layers take instead of embeddings."""
        scaled, noise = self.enrolled_logits.scaled(embeddings), self.enrolled_logits.line_noise
        if noise is not None and monochrome.any():
            scaled = scaled.copy()
            scaled[monochrome] = noise.adapted(scaled[monochrome])
        return scaled.astype(np.float32, copy=False)

    def _logits_of_stored(self, adapted: np.ndarray, monochrome: np.ndarray, stored: Shortlist) -> np.ndarray:
        """float32 [n, characters]; -inf for those that a head is not compared with."""
        if stored.embeddings is None:
            return np.zeros((len(adapted), 0), np.float32)
        counts = np.diff(stored.starts, append=len(stored.embeddings))
        scaled = self.enrolled_logits.scaled(stored.embeddings)
        layer = self.enrolled_logits.layer(np.add.reduceat(scaled, stored.starts) / counts[:, None], counts)
        return np.where(stored.among, logits_of(layer, adapted, monochrome), np.float32(-np.inf))

    def _enrolled(self, evidence: Evidence, embeddings: np.ndarray, stored: Shortlist) -> "Compared":
        """How n heads compare with the enrolled characters, those of the bundle's folders and then the stored ones."""
        found = Compared(
            evidence.to_means[:, self.trained :],
            maxima(evidence.to_gallery[:, self._references :], self._starts),
            self._counts,
            np.array(self.only_line, bool),
            np.ones((len(embeddings), len(self.only_line)), bool),
            np.zeros((len(embeddings), 0), np.float32),
        )
        if stored.means is None or stored.embeddings is None:
            return found
        # heads of others than its own are nearer to nobody: its references count only for whom it is compared with
        to_stored = cosines(embeddings, stored.embeddings)
        counts = np.diff(stored.starts, append=len(stored.embeddings))
        shown = np.where(np.repeat(stored.among, counts, axis=1), to_stored, -1)
        return Compared(
            np.concatenate([found.to_means, cosines(embeddings, stored.means)], axis=1),
            np.concatenate([found.nearest, maxima(to_stored, stored.starts)], axis=1),
            np.concatenate([found.heads, counts]),
            np.concatenate([found.only_line, stored.only_line]),
            np.concatenate([found.among, stored.among], axis=1),
            shown,
        )

    def who(self, named: Named, label: int) -> Known:
        """The character that a label of an answer means."""
        return self.known[label] if label < len(self.known) else named.stored.known[label - len(self.known)]

    def labels(self, named: Named) -> np.ndarray:
        """int [references]: whom each of the reference heads shows that an answer was compared with."""
        counts = [one.heads or 0 for one in named.stored.known]
        stored = np.repeat(len(self.known) + np.arange(len(counts)), counts)
        return np.concatenate([self.gallery_labels, stored.astype(int)])

    def thumbnail(self, named: Named, reference: int) -> bytes:
        """The picture of a reference head, WebP; empty where there is none."""
        if reference < len(self.gallery_labels):
            return self.gallery.thumbnail(reference)
        place = reference - len(self.gallery_labels)
        number = int(np.searchsorted(named.stored.starts, place, side="right")) - 1
        its = named.stored.known[number]
        assert self.stored
        pictures = self.stored.pictures_of(its)
        place -= int(named.stored.starts[number])
        return pictures[place][1] if place < len(pictures) else b""  # changed meanwhile

    def likely_series(self, probabilities: np.ndarray, stored: Sequence[Known] = ()) -> LikelySeries | None:
        """The series with the largest sum over its characters; None if none has a series.

        probabilities: [labels]; stored: whose labels follow those of the characters.
        """
        sums = np.bincount(self._series_labels, probabilities[: len(self.characters)], len(self._series_names))
        by_name = dict(zip(self._series_names, sums)) if stored else {}
        for one, probability in zip(stored, probabilities[len(self.characters) :]):
            by_name[one.series] = by_name.get(one.series, 0.0) + float(probability)
        names, sums = (np.array([*by_name]), np.array([*by_name.values()])) if stored else (self._series_names, sums)
        named = np.flatnonzero(names != "")
        if not len(named):
            return None
        best = named[sums[named].argmax()]
        return LikelySeries(str(names[best]), min(1.0, float(sums[best])))

    def _of_trained(self, evidence: Evidence) -> Evidence:
        """Without the enrolled characters: the calibration scores of the trained ones were measured without them."""
        references = self._references
        return Evidence(
            evidence.logits[:, : self.trained], evidence.to_means[:, : self.trained], evidence.to_gallery[:, :references]
        )


@dataclass(frozen=True)
class Compared:
    """How n heads compare with c enrolled characters."""

    to_means: np.ndarray  # float32 [n, c]
    nearest: np.ndarray  # float32 [n, c]: cosine to the nearest of their reference heads
    heads: np.ndarray  # int [c]: reference heads
    only_line: np.ndarray  # bool [c]: all of them are line art or gray
    among: np.ndarray  # bool [n, c]: whether the two are compared at all
    to_stored: np.ndarray  # float32 [n, references of stored characters]; -1 where they are not


def maxima(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """[n, groups]: the largest value of each group of columns of [n, m]. starts: int, first column of each group."""
    return np.maximum.reduceat(values, starts, axis=1) if len(starts) else values[:, :0]


def cosines(heads: np.ndarray, references: np.ndarray) -> np.ndarray:
    """float32 [n, m]: inner products of [n, d] and [m, d], cosines where both have unit length."""
    return product(heads, references.T)


def logits_of(layer: Layer, adapted: np.ndarray, monochrome: np.ndarray) -> np.ndarray:
    """float32 [n, c]. adapted: float32 [n, d], scaled, and those in line art or gray (monochrome: bool [n]) by LineNoise."""
    return cosines(adapted, layer.weight) + np.where(monochrome[:, None], layer.line_bias, layer.bias)


def mean_embedding(embeddings: np.ndarray) -> np.ndarray:
    """float32 [d], unit length: the mean of embeddings [n, d]."""
    mean = embeddings.mean(axis=0)
    return (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)
