"""Enrolls held-out characters: measures enrollment, and fits the logits of enrolled characters."""

from collections.abc import Callable, Iterator

import numpy as np

from crystal_eyes.data.stable_number import stable_number
from crystal_eyes.recognizer.build.known import KnownCharacters
from crystal_eyes.recognizer.build.labeled_heads import LabeledHeads
from crystal_eyes.recognizer.enrolled_logits import EnrolledLogits, Line
from crystal_eyes.recognizer.enrolled_unlikeness import COUNTS

MAX_CHARACTERS, MAX_HEADS = 20, 5  # characters that are enrolled again, and heads of each that they are enrolled from
DRAWS = 4  # of the heads that they are enrolled from
MAX_LOSS = 0.005  # of top-1 and of top-5 of the other characters

Measure = Callable[[Line], dict[str, float]]


def enroll_again(known: KnownCharacters, heads: LabeledHeads, strangers: LabeledHeads, shown: LabeledHeads) -> Measure:
    """Enroll up to MAX_CHARACTERS strangers, from at most MAX_HEADS of their heads in `shown` each, next to the known ones.

    heads: of the known characters; strangers: other heads of the same strangers as in shown. Returns a function of the line
    from what the expected points say to logits: top-1 and top-5 of the known characters' heads before and after, top-5 of the
    strangers' heads, and their top-1 and top-5 after enrollment from 1, 3 and 5 heads (mean of DRAWS).
    """
    names = chosen_characters(shown)
    new = strangers[np.isin(strangers.characters, names)]
    truth = np.searchsorted(names, new.characters)
    old_logits, old_truth = known.evidence(heads).logits, known.labels(heads.characters)
    old_right = old_logits[np.arange(len(old_truth)), old_truth]
    old_rank = (np.argsort(-old_logits, axis=1, kind="stable") == old_truth[:, None]).argmax(axis=1)
    best = -np.sort(-known.evidence(new).logits, axis=1)[:, :5]
    say = known.expected_logits
    scaled = shown.changed(known.expected.scaled)
    said = {count: [say(new, *some) for some in _draws(scaled, names, count)] for count in COUNTS}
    first = next(_draws(scaled, names, MAX_HEADS))
    old_said, new_said = say(heads, *first), say(new, *first)

    def ranks(line: Line, expected: np.ndarray) -> np.ndarray:
        """int [n]: how many characters are before the right one for each head of the strangers, at most 5 known ones."""
        added = line(expected)
        right = added[np.arange(len(truth)), truth][:, None]
        earlier = np.arange(len(names)) < truth[:, None]
        return (best >= right).sum(axis=1) + ((added > right) | (earlier & (added == right))).sum(axis=1)

    def measure(line: Line) -> dict[str, float]:
        after = old_rank + (line(old_said) > old_right[:, None]).sum(axis=1)
        figures = {"characters": float(len(names)), "enrolled_top_5": share(ranks(line, new_said) < 5)}
        for k in (1, 5):
            figures |= {f"known_top_{k}_before": share(old_rank < k), f"known_top_{k}_after": share(after < k)}
        for count, drawn in said.items():
            ranked = np.concatenate([ranks(line, expected) for expected in drawn])
            figures |= {f"{count}_top_{k}": share(ranked < k) for k in (1, 5)}
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


def _draws(shown: LabeledHeads, names: np.ndarray, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """DRAWS times: means float32 [characters, d] and numbers int [characters] of the heads that they are enrolled from."""
    for draw in range(DRAWS):
        drawn = [drawn_heads(shown, name, count, draw) for name in names]
        yield np.stack([one.mean(axis=0) for one in drawn]), np.array([len(one) for one in drawn])


def fit_enrolled_logits(known: KnownCharacters, measure: Measure, heads: LabeledHeads) -> EnrolledLogits:
    """The line that finds enrolled characters best (mean of top-1 and top-5 after enrollment from 1, 3 and 5 heads) while
    the known ones lose at most MAX_LOSS.

    The candidates are raised and lowered copies of the line from what the expected points say to the classifier's logits.
    """
    evidence = known.evidence(heads)
    line = _fitted_line(known.expected_logits(heads), evidence.logits)
    spread = float(evidence.logits.std())
    lines = [Line(line.slope, line.intercept + spread * lift) for lift in np.linspace(-3, 3, 121).tolist()]
    measured = [(measure(one), one) for one in lines]

    def loss(figures: dict[str, float], k: int) -> float:
        return figures[f"known_top_{k}_before"] - figures[f"known_top_{k}_after"]

    def found(figures: dict[str, float]) -> float:
        return float(np.mean([figures[f"{count}_top_{k}"] for count in COUNTS for k in (1, 5)]))

    fair = [pair for pair in measured if max(loss(pair[0], 1), loss(pair[0], 5)) <= MAX_LOSS]
    if fair:
        chosen = max(fair, key=lambda pair: found(pair[0]))[1]
    else:
        chosen = min(measured, key=lambda pair: loss(pair[0], 5) + loss(pair[0], 1))[1]
    return EnrolledLogits(_fitted_line(evidence.to_means, evidence.logits), known.expected, chosen, known.line_noise)


def _fitted_line(values: np.ndarray, logits: np.ndarray) -> Line:
    """By least squares, of equal shapes."""
    # in 32 bits, millions of values that are not around 0 would have no slope
    slope, intercept = np.polyfit(values.ravel().astype(np.float64), logits.ravel(), 1)
    return Line(float(slope), float(intercept))
