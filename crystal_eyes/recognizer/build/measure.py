"""Metrics on heads that were not used for tuning."""

from collections.abc import Mapping

import numpy as np

from crystal_eyes.evaluation.calibration import expected_calibration_error
from crystal_eyes.evaluation.open_set import open_set
from crystal_eyes.evaluation.top_k import rank_of_truth, top_k_accuracy
from crystal_eyes.recognizer.build.known import KnownCharacters
from crystal_eyes.recognizer.build.labeled_heads import COLOR, KINDS, LINE, LabeledHeads
from crystal_eyes.recognizer.calibration import UNKNOWN_LEVEL, Calibration, known_probability, verdict
from crystal_eyes.recognizer.unlikeness import Unlikeness

LEVELS = (0.05, 0.1)  # of p-values, at which heads called unknown are counted


def measure_known(
    known: KnownCharacters, unlikeness: Unlikeness, calibrations: Mapping[str, Calibration], heads: LabeledHeads
) -> dict[str, float]:
    """Of heads of known characters by kind: accuracy, calibration error before and after scaling, share called unknown, number.

    Kinds without heads are missing. "line_drawn": the heads that were drawn without color, no sketches.
    """
    figures: dict[str, float] = {}
    groups = [(kind, kind, heads.of_kind(kind)) for kind in KINDS]
    for name, kind, some in (*groups, ("line_drawn", LINE, heads[heads.line & ~heads.sketch])):
        if not len(some):
            continue
        evidence, truth = known.evidence(some), known.labels(some.characters)
        ranks = _ranks(evidence.logits, truth)
        figures |= _accuracy(name, ranks)
        for when, calibration in (("before", Calibration(1.0)), ("after", calibrations[kind])):
            confidence = calibration.probabilities(evidence.logits).max(axis=1)
            figures[f"{name}_ece_{when}"] = expected_calibration_error(confidence, ranks == 0)
        figures[f"{name}_mean_confidence"] = float(confidence.mean())
        p = calibrations[kind].p_values(unlikeness(evidence))
        figures |= {f"{name}_called_unknown_at_{round(100 * level)}": float((p <= level).mean()) for level in LEVELS}
        if (ranks == 0).any():
            figures[f"{name}_right_called_unknown_at_5"] = float((p[ranks == 0] <= UNKNOWN_LEVEL).mean())
        figures[f"{name}_heads"] = len(some)
    return figures


def measure_degraded(known: KnownCharacters, heads: LabeledHeads) -> dict[str, float]:
    """Accuracy on degraded heads of known characters, and their number. Empty without any."""
    if not len(heads):
        return {}
    ranks = _ranks(known.logits(heads), known.labels(heads.characters))
    return _accuracy("degraded", ranks) | {"degraded_heads": float(len(heads))}


def _ranks(logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """int [n]: see rank_of_truth, among the first five."""
    return rank_of_truth(np.argsort(-logits, axis=1, kind="stable")[:, :5], truth)


def _accuracy(name: str, ranks: np.ndarray) -> dict[str, float]:
    return {f"{name}_top_{k}": top_k_accuracy(ranks, k) for k in (1, 3, 5)}


def measure_strangers(
    known: KnownCharacters, unlikeness: Unlikeness, heads: LabeledHeads, strangers: LabeledHeads
) -> dict[str, float]:
    """Open-set figures and the number of strangers by kind. known: without the strangers; heads: of the known characters."""
    figures: dict[str, float] = {}
    for kind in KINDS:
        familiar, strange = heads.of_kind(kind), strangers.of_kind(kind)
        if len(familiar) and len(strange):
            evidence = known.evidence(familiar)
            right = evidence.logits.argmax(axis=1) == known.labels(familiar.characters)
            found = open_set(unlikeness(evidence), right, unlikeness(known.evidence(strange)))
            figures |= {f"{kind}_{name}": value for name, value in found.items()}
            figures[f"{kind}_strangers"] = len(strange)
    return figures


def measure_verdicts(
    known: KnownCharacters,
    unlikeness: Unlikeness,
    calibrations: Mapping[str, Calibration],
    heads: LabeledHeads,
    strangers: LabeledHeads,
) -> dict[str, float]:
    """Of colored heads, what the recognizer would say: the shares of strangers called known and unknown, and of strangers whose
    first candidate has more than half of the probability; and the share called known of known heads that are named right.

    known: without the strangers; heads: of the known characters. Missing where there are no such heads.
    """
    calibration = calibrations[COLOR]
    figures: dict[str, float] = {}
    for name, some in (("strangers", strangers.colored()), ("right", heads.colored())):
        evidence = known.evidence(some)
        own = unlikeness(evidence)
        p, shares = calibration.p_values(own), calibration.stranger_shares(own)
        first = calibration.probabilities(evidence.logits).max(axis=1) * known_probability(p, shares)
        if name == "right":
            right = evidence.logits.argmax(axis=1) == known.labels(some.characters)
            p, shares, first = p[right], shares[right], first[right]
        if not len(p):
            continue
        verdicts = np.array([verdict(*pair) for pair in zip(p, shares)])
        figures |= {f"{name}_called_{kind}": float((verdicts == kind).mean()) for kind in ("known", "unknown")}
        figures[f"{name}_above_half"] = float((first > 0.5).mean())
    return figures


def unlikeness_by_kind(known: KnownCharacters, unlikeness: Unlikeness, heads: LabeledHeads) -> dict[str, np.ndarray]:
    """float64 [m] of the heads of each kind."""
    return {kind: unlikeness(known.evidence(heads.of_kind(kind))) for kind in KINDS}
