"""Enrolls held-out characters: measures enrollment, and fits the logits of enrolled characters."""

from collections.abc import Callable, Iterator

import numpy as np

from crystal_eyes.data.stable_number import stable_number
from crystal_eyes.recognizer.build.known import KnownCharacters
from crystal_eyes.recognizer.build.labeled_heads import LabeledHeads
from crystal_eyes.recognizer.enrolled_unlikeness import COUNTS
from crystal_eyes.recognizer.naming import EnrolledLogits, mean_embedding

MAX_CHARACTERS, MAX_HEADS = 20, 5  # characters that are enrolled again, and heads of each that they are enrolled from
DRAWS = 4  # of the heads that they are enrolled from
MAX_LOSS, MAX_LOSS_TOP_1 = 0.0025, 0.03  # of top-5 and of top-1 of the other characters

Measure = Callable[[EnrolledLogits], dict[str, float]]


def enroll_again(known: KnownCharacters, heads: LabeledHeads, strangers: LabeledHeads, shown: LabeledHeads) -> Measure:
    """Enroll up to MAX_CHARACTERS strangers, from at most MAX_HEADS of their heads in `shown` each, next to the known ones.

    heads: of the known characters; strangers: other heads of the same strangers as in shown. Returns a function of the
    logits' slope and intercept: top-1 and top-5 of the known characters' heads before and after, top-5 of the strangers'
    heads, and their top-1 and top-5 after enrollment from 1, 3 and 5 heads (mean of DRAWS).
    """
    names = chosen_characters(shown)
    new = strangers[np.isin(strangers.characters, names)]
    truth = np.searchsorted(names, new.characters)
    old_logits, old_truth = known.evidence(heads.embeddings).logits, known.labels(heads.characters)
    old_right = old_logits[np.arange(len(old_truth)), old_truth]
    old_rank = (np.argsort(-old_logits, axis=1, kind="stable") == old_truth[:, None]).argmax(axis=1)
    best = -np.sort(-known.evidence(new.embeddings).logits, axis=1)[:, :5]
    to_means = {count: [new.embeddings @ means.T for means in _draws(shown, names, count)] for count in COUNTS}
    means = next(_draws(shown, names, MAX_HEADS))
    old_to_means, new_to_means = heads.embeddings @ means.T, new.embeddings @ means.T

    def ranks(enrolled: EnrolledLogits, similarity: np.ndarray) -> np.ndarray:
        """int [n]: how many characters are before the right one for each head of the strangers, at most 5 known ones."""
        added = enrolled(similarity)
        right = added[np.arange(len(truth)), truth][:, None]
        earlier = np.arange(len(names)) < truth[:, None]
        return (best >= right).sum(axis=1) + ((added > right) | (earlier & (added == right))).sum(axis=1)

    def measure(enrolled: EnrolledLogits) -> dict[str, float]:
        after = old_rank + (enrolled(old_to_means) > old_right[:, None]).sum(axis=1)
        figures = {"characters": float(len(names)), "enrolled_top_5": share(ranks(enrolled, new_to_means) < 5)}
        for k in (1, 5):
            figures |= {f"known_top_{k}_before": share(old_rank < k), f"known_top_{k}_after": share(after < k)}
        for count, drawn in to_means.items():
            found = np.concatenate([ranks(enrolled, similarity) for similarity in drawn])
            figures |= {f"{count}_top_{k}": share(found < k) for k in (1, 5)}
        return figures

    return measure


def chosen_characters(shown: LabeledHeads) -> np.ndarray:
    """str [at most MAX_CHARACTERS], sorted: characters that are enrolled again; they don't depend on the order of the heads."""
    names = sorted(np.unique(shown.characters), key=lambda name: stable_number(f"enroll {name}"))
    return np.sort(names[:MAX_CHARACTERS])


def drawn_heads(shown: LabeledHeads, name: str, count: int, draw: int) -> np.ndarray:
    """float32 [at most count, d]: the heads that a character is enrolled from; draw 0: the first ones."""
    own = shown.embeddings[shown.characters == name]
    return np.roll(own, -draw * count, axis=0)[:count]


def share(mask: np.ndarray) -> float:
    return float(mask.mean()) if len(mask) else float("nan")


def _draws(shown: LabeledHeads, names: np.ndarray, count: int) -> Iterator[np.ndarray]:
    """float32 [characters, d], DRAWS times: mean embeddings of the characters."""
    for draw in range(DRAWS):
        yield np.stack([mean_embedding(drawn_heads(shown, name, count, draw)) for name in names])


def fit_enrolled_logits(known: KnownCharacters, measure: Measure, heads: LabeledHeads) -> EnrolledLogits:
    """Slope and intercept that find enrolled characters best (mean of top-1 and top-5 after enrollment from 1, 3 and 5 heads)
    while the known ones lose at most MAX_LOSS of top-5 and MAX_LOSS_TOP_1 of top-1.

    The candidates are steeper, flatter, raised and lowered copies of the line from similarity to a mean to logits.
    """
    evidence = known.evidence(heads.embeddings)
    # in 32 bits, millions of similarities that are not around 0 would have no slope
    slope, intercept = np.polyfit(evidence.to_means.ravel().astype(np.float64), evidence.logits.ravel(), 1)
    spread = float(evidence.logits.std())
    lines = [EnrolledLogits(float(slope * steep), float(intercept + spread * lift - slope * (steep - 1) * 0.5))
             for steep in (0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0) for lift in np.linspace(-3, 3, 49)]  # fmt: skip
    measured = [(measure(line), line) for line in lines]

    def loss(figures: dict[str, float], k: int) -> float:
        return figures[f"known_top_{k}_before"] - figures[f"known_top_{k}_after"]

    def found(figures: dict[str, float]) -> float:
        return float(np.mean([figures[f"{count}_top_{k}"] for count in COUNTS for k in (1, 5)]))

    fair = [pair for pair in measured if loss(pair[0], 5) <= MAX_LOSS and loss(pair[0], 1) <= MAX_LOSS_TOP_1]
    if not fair:
        return min(measured, key=lambda pair: loss(pair[0], 5) + loss(pair[0], 1))[1]
    return max(fair, key=lambda pair: found(pair[0]))[1]
