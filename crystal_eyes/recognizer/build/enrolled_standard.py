"""Calibrates the unlikeness of enrolled characters, and counts how many of their heads are called unknown."""

from collections.abc import Sequence

import numpy as np

from crystal_eyes.evaluation.open_set import auroc
from crystal_eyes.recognizer.build.enroll_again import DRAWS, chosen_characters, drawn_heads
from crystal_eyes.recognizer.build.known import KnownCharacters
from crystal_eyes.recognizer.build.labeled_heads import COLOR, KINDS, LabeledHeads
from crystal_eyes.recognizer.calibration import Calibration
from crystal_eyes.recognizer.enrolled_unlikeness import (
    COUNTS,
    DISTANCES,
    EnrolledUnlikeness,
    Enrollments,
    calibrated,
    cohort_of,
    enroll_each,
)  # fmt: skip
from crystal_eyes.recognizer.naming import mean_embedding
from crystal_eyes.recognizer.unlikeness import Unlikeness

LEVEL = 0.05
MARGIN = 0.005  # of AUROC: a distance must be better by so much than a simpler one
MIN_SCORES = 19  # with fewer, no p-value is as small as LEVEL


def fit_enrolled_unlikeness(
    known: KnownCharacters, strangers: LabeledHeads, shown: LabeledHeads
) -> tuple[EnrolledUnlikeness | None, dict[str, float]]:
    """The simplest of the distances with the best AUROC (mean over 1, 3 and 5 enrolled heads, of colored heads), its
    calibration; every AUROC.

    Strangers are enrolled from heads in `shown`; their other heads, and those of other strangers, are in `strangers`. None
    where there are too few heads for it: recognition then derives it from the gallery.
    """
    embeddings = np.concatenate([shown.embeddings, strangers.embeddings])
    characters = np.concatenate([shown.characters, strangers.characters])
    cohort = cohort_of(embeddings @ known.means.astype(np.float32).T)
    can_be_shown = np.arange(len(embeddings)) < len(shown)

    def enrollments(kind: str) -> dict[int, Enrollments]:
        # a kind without heads is calibrated on the other one
        some = (strangers.line == (kind != COLOR)) if len(strangers.of_kind(kind)) else np.ones(len(strangers), bool)
        asked = np.concatenate([np.zeros(len(shown), bool), some])
        found = {count: enroll_each(embeddings, characters, can_be_shown, asked, cohort, count) for count in COUNTS}
        return {count: one for count, one in found.items() if min(len(one.own["mean"]), len(one.strange["mean"])) >= MIN_SCORES}

    by_kind = {kind: enrollments(kind) for kind in KINDS}
    if not all(by_kind.values()):
        return None, {}
    aurocs = {
        name: float(np.mean([auroc(one.own[name], one.strange[name]) for one in by_kind[COLOR].values()])) for name in DISTANCES
    }
    # the distance to the mean depends least on the catalogue: heads in a style that it does not have are ahead of all of its
    # characters, whoever they are
    best = next(name for name in DISTANCES if aurocs[name] >= max(aurocs.values()) - MARGIN)
    counts = {kind: {count: calibrated(one, best) for count, one in by_kind[kind].items()} for kind in KINDS}
    return EnrolledUnlikeness(best, counts), aurocs


def enrolled_called_unknown(
    known: KnownCharacters,
    unlikeness: Unlikeness,
    calibration: Calibration,
    enrolled: EnrolledUnlikeness,
    strangers: LabeledHeads,
    shown: LabeledHeads,
    counts: Sequence[int] = COUNTS,
) -> dict[str, float]:
    """Share of heads called unknown at 5 %, after enrollment from 1, 3 and 5 heads (mean of DRAWS).

    known: without the strangers; calibration: of the trained characters and this unlikeness; strangers: other heads of the
    characters in shown, of one kind.
    """
    names = chosen_characters(shown)
    new = strangers[np.isin(strangers.characters, names)]
    evidence = known.evidence(new)
    trained, cohort = calibration.p_values(unlikeness(evidence)), cohort_of(evidence.to_means)
    figures = {}
    for count in counts if len(new) else ():
        shares = []
        for draw in range(DRAWS):
            p = trained
            for name in names:
                own = drawn_heads(shown, name, count, draw)
                similar = new.embeddings @ mean_embedding(own)
                p = np.maximum(p, enrolled(similar, new.embeddings @ own.T, cohort, new.line)[0])
            shares.append((p <= LEVEL).mean())
        figures[f"{count}_called_unknown_at_5"] = float(np.mean(shares))
    return figures
