"""Selects the unlikeness score."""

import numpy as np

from crystal_eyes.evaluation.open_set import open_set
from crystal_eyes.recognizer.build.known import KnownCharacters
from crystal_eyes.recognizer.build.labeled_heads import LabeledHeads
from crystal_eyes.recognizer.unlikeness import BLENDS, Unlikeness


def choose_unlikeness(
    known: KnownCharacters, heads: LabeledHeads, strangers: LabeledHeads
) -> tuple[Unlikeness, dict[str, float]]:
    """The blend that best separates colored strangers from colored heads, by AUROC; and the AUROC of every blend by name.

    known: without the strangers; heads: of the known characters.
    """
    familiar, strange = known.evidence(heads.colored().embeddings), known.evidence(strangers.colored().embeddings)
    right = np.ones(len(familiar.logits), bool)
    fitted = {"+".join(names): Unlikeness.fit(names, familiar) for names in BLENDS}
    auroc = {name: open_set(score(familiar), right, score(strange))["auroc"] for name, score in fitted.items()}
    return fitted[max(auroc, key=auroc.__getitem__)], auroc
