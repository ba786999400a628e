"""Enrolls held-out characters: measures enrollment, and fits the logits of enrolled characters."""

from collections.abc import Callable

import numpy as np

from crystal_eyes.data.stable_number import stable_number
from crystal_eyes.recognizer.build.known import KnownCharacters
from crystal_eyes.recognizer.build.labeled_heads import LabeledHeads
from crystal_eyes.recognizer.naming import EnrolledLogits, mean_embedding

MAX_CHARACTERS, MAX_HEADS = 20, 5  # characters that are enrolled again, and heads of each that they are enrolled from
MAX_LOSS = 0.005  # of top-5 of the other characters

Measure = Callable[[EnrolledLogits], dict[str, float]]


def enroll_again(known: KnownCharacters, heads: LabeledHeads, strangers: LabeledHeads, shown: LabeledHeads) -> Measure:
    """Enroll up to MAX_CHARACTERS strangers, from at most MAX_HEADS of their heads in `shown` each, next to the known ones.

    heads: of the known characters; strangers: other heads of the same strangers as in shown. Returns a function of the
    logits' slope and intercept: top-5 of the known characters' heads before and after, top-5 of the strangers' heads.
    """
    names = np.unique(shown.characters)
    names = np.sort(sorted(names, key=lambda name: stable_number(f"enroll {name}"))[:MAX_CHARACTERS])
    means = np.stack([mean_embedding(shown.embeddings[shown.characters == name][:MAX_HEADS]) for name in names])
    new = strangers[np.isin(strangers.characters, names)]
    old_logits, old_truth = known.evidence(heads.embeddings).logits, known.labels(heads.characters)
    new_logits, new_truth = known.evidence(new.embeddings).logits, len(known.names) + np.searchsorted(names, new.characters)
    old_to_means, new_to_means = heads.embeddings @ means.T, new.embeddings @ means.T

    def top_5(logits: np.ndarray, truth: np.ndarray) -> float:
        return float((np.argsort(-logits, axis=1, kind="stable")[:, :5] == truth[:, None]).any(axis=1).mean())

    before = top_5(old_logits, old_truth)

    def measure(enrolled: EnrolledLogits) -> dict[str, float]:
        after = top_5(np.concatenate([old_logits, enrolled(old_to_means)], axis=1), old_truth)
        found = top_5(np.concatenate([new_logits, enrolled(new_to_means)], axis=1), new_truth) if len(new) else float("nan")
        return {"known_top_5_before": before, "known_top_5_after": after, "enrolled_top_5": found,
                "characters": len(names)}  # fmt: skip

    return measure


def fit_enrolled_logits(known: KnownCharacters, measure: Measure, heads: LabeledHeads) -> EnrolledLogits:
    """Slope and intercept that find enrolled characters best while the known ones lose at most half of MAX_LOSS of top-5.

    The candidates are steeper, flatter, raised and lowered copies of the line from similarity to a mean to logits.
    """
    evidence = known.evidence(heads.embeddings)
    slope, intercept = np.polyfit(evidence.to_means.ravel(), evidence.logits.ravel(), 1)
    spread = float(evidence.logits.std())
    lines = [EnrolledLogits(float(slope * steep), float(intercept + spread * lift - slope * (steep - 1) * 0.5))
             for steep in (0.5, 1.0, 1.5, 2.0, 3.0) for lift in np.linspace(-3, 3, 25)]  # fmt: skip
    measured = [(measure(line), line) for line in lines]
    fair = [pair for pair in measured if pair[0]["known_top_5_before"] - pair[0]["known_top_5_after"] <= MAX_LOSS / 2]
    if not fair:
        return max(measured, key=lambda pair: pair[0]["known_top_5_after"])[1]
    return max(fair, key=lambda pair: pair[0]["enrolled_top_5"])[1]
