"""Selects the unlikeness score."""

from dataclasses import replace

import numpy as np

from crystal_eyes.evaluation.open_set import open_set
from crystal_eyes.recognizer.build.calibrate import MIN_RIGHT
from crystal_eyes.recognizer.build.known import KnownCharacters
from crystal_eyes.recognizer.build.labeled_heads import LabeledHeads
from crystal_eyes.recognizer.unlikeness import BLENDS, Evidence, Unlikeness


def choose_unlikeness(
    known: KnownCharacters, heads: LabeledHeads, strangers: LabeledHeads
) -> tuple[Unlikeness, dict[str, float]]:
    """The blend that best separates colored strangers from colored heads that are named right, by AUROC; and the AUROC of
    every blend by name.

    known: without the strangers; heads: of the known characters. A head that is named wrong is as well called unknown.
    """
    heads = heads.colored()
    familiar, strange = known.evidence(heads), known.evidence(strangers.colored())
    is_right = familiar.logits.argmax(axis=1) == known.labels(heads.characters)
    familiar = familiar[is_right] if is_right.sum() >= MIN_RIGHT else familiar
    right = np.ones(len(familiar.logits), bool)
    fitted = {"+".join(names): weighted(Unlikeness.fit(names, familiar), familiar, strange) for names in BLENDS}
    auroc = {name: open_set(score(familiar), right, score(strange))["auroc"] for name, score in fitted.items()}
    return fitted[max(auroc, key=auroc.__getitem__)], auroc


def weighted(unlikeness: Unlikeness, familiar: Evidence, strange: Evidence) -> Unlikeness:
    """With the weights of a logistic regression that separates familiar from strange heads; one score alone needs none."""
    from sklearn.linear_model import LogisticRegression  # slow to import

    if len(unlikeness.names) == 1:
        return unlikeness
    terms = [unlikeness.terms(evidence) for evidence in (familiar, strange)]
    labels = np.repeat([0, 1], [len(some) for some in terms])
    model = LogisticRegression(class_weight="balanced").fit(np.concatenate(terms), labels)
    return replace(unlikeness, weights=tuple(round(float(weight), 4) for weight in model.coef_[0]))
