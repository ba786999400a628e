"""Makes what a bundle knows: chooses and calibrates its scores on heads kept apart, and measures it on others.

Heads of the test part are halved by artwork: one half calibrates, the other reports. Strangers are heads of characters that
no part of the encoder's training saw, scored by a classifier that was fitted without them: those that chose the encoder's
epoch choose the score too, the others report.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from crystal_eyes.classifiers.linear import Linear
from crystal_eyes.data.catalogue import artworks
from crystal_eyes.data.stable_number import stable_number
from crystal_eyes.evaluation.calibration import expected_calibration_error, fit_temperature
from crystal_eyes.evaluation.open_set import open_set
from crystal_eyes.recognizer.calibration import Calibration
from crystal_eyes.recognizer.gallery import representative
from crystal_eyes.recognizer.naming import EnrolledLogits, mean_embedding
from crystal_eyes.recognizer.unlikeness import BLENDS, Evidence, Unlikeness

LEVELS = (0.05, 0.1)  # at which coverage is reported
ENROLLED, HEADS = 20, 5  # characters that are left out and enrolled again, from so many heads each
LOSS = 0.005  # of the others' top-5, at most
KINDS = ("colour", "line")


@dataclass(frozen=True)
class Heads:
    """Heads with their truth. line: bool [n], line art or grey; made: bool [n], made from a coloured head."""

    embeddings: np.ndarray
    characters: np.ndarray
    line: np.ndarray
    made: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> "Heads":
        return Heads(self.embeddings[rows], self.characters[rows], self.line[rows], self.made[rows])

    def and_made(self, embeddings: np.ndarray, rows: np.ndarray) -> "Heads":
        """These heads and then sketches made from some of them. embeddings: of the sketches of rows."""
        more = np.ones(len(rows), bool)
        return Heads(
            np.concatenate([self.embeddings, embeddings]), np.r_[self.characters, self.characters[rows]],
            np.r_[self.line, more], np.r_[self.made, more],
        )  # fmt: skip

    def coloured(self) -> "Heads":
        """Those with colours; all of a catalogue that has none."""
        return self.kind("colour") if not self.line.all() else self

    def kind(self, name: str) -> "Heads":
        return self[self.line == (name == "line")]


class Known:
    """Everything that naming a head draws on: a linear classifier, class means and reference heads of its characters."""

    def __init__(self, layer: Linear, embeddings: np.ndarray, characters: np.ndarray, references: int):
        """layer: fitted on embeddings float32 [n, d] of characters (names [n]), labels in the names' order."""
        self.layer = layer
        self.names, labels = np.unique(characters, return_inverse=True)
        rows = [np.flatnonzero(labels == label) for label in range(len(self.names))]
        self.means = np.stack([mean_embedding(embeddings[mine]) for mine in rows]).astype(np.float16)
        self.references = np.concatenate([mine[representative(embeddings[mine], references)] for mine in rows])
        self.gallery = embeddings[self.references].astype(np.float16)

    def evidence(self, embeddings: np.ndarray) -> Evidence:
        # with the 16-bit numbers that the bundle's files hold
        means, gallery = self.means.astype(np.float32), self.gallery.astype(np.float32)
        return Evidence(self.layer.logits(embeddings), embeddings @ means.T, embeddings @ gallery.T)

    def labels(self, characters: np.ndarray) -> np.ndarray:
        """int [n] of names that are all known."""
        return np.searchsorted(self.names, characters)


def parts(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Rows of the embeddings' table by what they are for: train, calibration, report, strangers_choose, strangers_report.

    The first three are of every character; a stranger's heads are among them too.
    """
    character, encoder = table["character"].to_numpy(dtype=str), table["encoder_split"].to_numpy(dtype=str)
    train = (table["classifier_split"] == "train").to_numpy()
    test = (table["classifier_split"] == "test").to_numpy() & np.isin(character, character[train])
    half = np.array([stable_number(f"calibration {name}") % 2 == 0 for name in artworks(table)], bool)
    found = {"train": train, "calibration": test & half, "report": test & ~half}
    for part, split in (("strangers_choose", "validation"), ("strangers_report", "test")):
        found[part] = np.isin(character, character[encoder == split])
    return {name: np.flatnonzero(mask) for name, mask in found.items()}


def choose_unlikeness(known: Known, heads: Heads, strangers: Heads) -> tuple[Unlikeness, dict[str, float]]:
    """The blend that tells coloured strangers best from coloured heads, by AUROC; and all AUROCs by name."""
    familiar, strange = known.evidence(heads.coloured().embeddings), known.evidence(strangers.coloured().embeddings)
    right = np.ones(len(familiar.logits), bool)
    fitted = {"+".join(names): Unlikeness.fit(names, familiar) for names in BLENDS}
    found = {name: open_set(score(familiar), right, score(strange))["auroc"] for name, score in fitted.items()}
    best = max(found, key=found.get)
    return fitted[best], found


def calibrate(known: Known, unlikeness: Unlikeness, heads: Heads, strange: dict[str, np.ndarray]) -> dict[str, Calibration]:
    """The calibration of each kind. strange: unlikeness of strangers by kind."""
    found = {}
    for kind in KINDS:
        # without a sketch to calibrate on, colour has to do
        some = heads.kind(kind) if len(heads.kind(kind).line) else heads
        evidence = known.evidence(some.embeddings)
        temperature = fit_temperature(evidence.logits, known.labels(some.characters))
        found[kind] = Calibration(temperature, np.sort(unlikeness(evidence)), np.sort(strange[kind]))
    return found


def report(known: Known, unlikeness: Unlikeness, calibration: dict[str, Calibration], heads: Heads) -> dict[str, float]:
    """Accuracy, calibration error before and after, and how many heads of known characters are called unknown, by kind."""
    found = {}
    drawn = ("line_drawn", heads[heads.line & ~heads.made])
    for kind, some in (*((k, heads.kind(k)) for k in KINDS), drawn):
        if not len(some.line):
            continue
        evidence, truth = known.evidence(some.embeddings), known.labels(some.characters)
        mine = calibration[kind.split("_")[0]]
        order = np.argsort(-evidence.logits, axis=1, kind="stable")[:, :5]
        hits = order == truth[:, None]
        found |= {f"{kind}_top_{k}": float(hits[:, :k].any(axis=1).mean()) for k in (1, 3, 5)}
        for name, how in (("before", Calibration(1.0)), ("after", mine)):
            sure = how.probabilities(evidence.logits).max(axis=1)
            found[f"{kind}_ece_{name}"] = expected_calibration_error(sure, hits[:, 0])
        found[f"{kind}_mean_confidence"] = float(sure.mean())
        p = mine.p_values(unlikeness(evidence))
        found |= {f"{kind}_called_unknown_at_{round(100 * level)}": float((p <= level).mean()) for level in LEVELS}
        found[f"{kind}_heads"] = len(some.line)
    return found


def report_strangers(known: Known, unlikeness: Unlikeness, heads: Heads, strangers: Heads) -> dict[str, float]:
    """AUROC, FPR at 95 % and OSCR by kind. known: without the strangers."""
    found = {}
    for kind in KINDS:
        familiar, strange = heads.kind(kind), strangers.kind(kind)
        if len(familiar.line) and len(strange.line):
            evidence = known.evidence(familiar.embeddings)
            right = evidence.logits.argmax(axis=1) == known.labels(familiar.characters)
            scores = unlikeness(evidence), right, unlikeness(known.evidence(strange.embeddings))
            found |= {f"{kind}_{name}": value for name, value in open_set(*scores).items()}
            found[f"{kind}_strangers"] = len(strange.line)
    return found


def enrol_again(known: Known, heads: Heads, strangers: Heads, learned: Heads) -> Callable[[EnrolledLogits], dict[str, float]]:
    """Enrol up to ENROLLED strangers, from at most HEADS of their learned heads each, beside the known characters.

    Returns a function of the logits' slope and intercept that gives top-5 of the known heads before and after, and of the new.
    """
    names = np.unique(learned.characters)
    names = np.array(sorted(names, key=lambda name: stable_number(f"enrol {name}"))[:ENROLLED])
    means = np.stack([mean_embedding(learned.embeddings[learned.characters == name][:HEADS]) for name in names])
    names, order = np.sort(names), np.argsort(names)
    means = means[order]
    new = strangers[np.isin(strangers.characters, names)]
    old = known.evidence(heads.embeddings).logits, known.labels(heads.characters)
    fresh = known.evidence(new.embeddings).logits, len(known.names) + np.searchsorted(names, new.characters)
    similar = heads.embeddings @ means.T, new.embeddings @ means.T

    def top_5(logits: np.ndarray, truth: np.ndarray) -> float:
        return float((np.argsort(-logits, axis=1, kind="stable")[:, :5] == truth[:, None]).any(axis=1).mean())

    before = top_5(*old)

    def measure(logits: EnrolledLogits) -> dict[str, float]:
        after = top_5(np.concatenate([old[0], logits(similar[0])], axis=1), old[1])
        found = top_5(np.concatenate([fresh[0], logits(similar[1])], axis=1), fresh[1]) if len(new.line) else float("nan")
        return {"known_top_5_before": before, "known_top_5_after": after, "enrolled_top_5": found,
                "characters": len(names)}  # fmt: skip

    return measure


def fit_enrolled_logits(known: Known, measure: Callable[[EnrolledLogits], dict[str, float]], heads: Heads) -> EnrolledLogits:
    """Slope and intercept with which enrolled characters are found best while the known lose at most half of LOSS of top-5.

    Tried: lines through what similarity to a mean is worth to the classifier, raised and lowered.
    """
    evidence = known.evidence(heads.embeddings)
    slope, intercept = np.polyfit(evidence.to_means.ravel(), evidence.logits.ravel(), 1)
    spread = float(evidence.logits.std())
    tried = [EnrolledLogits(float(slope * steep), float(intercept + spread * lift - slope * (steep - 1) * 0.5))
             for steep in (0.5, 1.0, 1.5, 2.0, 3.0) for lift in np.linspace(-3, 3, 25)]  # fmt: skip
    found = [(measure(one), one) for one in tried]
    fair = [pair for pair in found if pair[0]["known_top_5_before"] - pair[0]["known_top_5_after"] <= LOSS / 2]
    if not fair:
        return max(found, key=lambda pair: pair[0]["known_top_5_after"])[1]
    return max(fair, key=lambda pair: pair[0]["enrolled_top_5"])[1]


def summary(figures: dict[str, float]) -> str:
    """The figures on a few lines."""
    shown = {
        "heads kept for the report": ["colour_top_1", "colour_top_5", "line_top_1", "line_top_5", "colour_ece_before",
                                      "colour_ece_after", "line_ece_before", "line_ece_after"],
        "known heads called unknown": ["colour_called_unknown_at_5", "line_called_unknown_at_5"],
        "strangers": ["colour_auroc", "colour_fpr_95", "colour_oscr", "line_auroc"],
        "enrolled": ["enrol_enrolled_top_5", "enrol_known_top_5_before", "enrol_known_top_5_after"],
    }  # fmt: skip
    lines = []
    for title, names in shown.items():
        parts = [f"{name.removeprefix('enrol_').replace('_', ' ')} {figures[name]:.3f}" for name in names if name in figures]
        lines.append(f"{title}: {', '.join(parts)}")
    return "\n".join(lines)
