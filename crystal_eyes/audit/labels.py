"""Probable wrong labels, and characters that should be one: from the embeddings of a dataset's heads and its own labels.

This follows confident learning (Northcutt, Jiang, Chuang 2021): held-out predictions from the noisy labels themselves, then the
heads whose label loses clearly against another one. Held out is each single head: it is compared with the mean of the *other*
heads of every character, which needs no folds and no training. Confident learning's own threshold, the mean confidence of a
class, is not used to find errors: most characters have two to ten heads, and with so few it misses up to half of the errors
(docs/results.md). It decides whether another character is suggested. cleanlab implements the method too, but under the AGPL.
"""

from typing import NamedTuple

import numpy as np

from crystal_eyes.vectors import unit

CHUNK = 2048  # heads at a time: likenesses are [CHUNK, characters]
# sha256 of the encoder that MARGIN and ONE were chosen with; another release needs them chosen again
CHOSEN_WITH = "651f2f9e57f04a51e8e14c24b3122d31bd624594896c2cf174f8e285d3c1ce53"
# MARGIN chosen on characters that only selected its epoch (benchmarks/audit/labels.py)
MARGIN = 0.15  # cosine: how much more a head resembles another character than its own from which its label is probably wrong
DOUBT, STEEPNESS = 0.1, 20.0  # in the second round, a head counts half where the other character is ahead by DOUBT
TYPICAL = 0.8  # of the mean likeness of a character's heads: from here on a character is suggested
ONE = 1.5  # of the sum of both likenesses of two characters from which they should be one; chosen on the same characters


class LabelCheck(NamedTuple):
    """For each of n heads, how its label compares with the best other one."""

    own: np.ndarray  # float32 [n]: cosine to the mean of the other heads of its character, 0 where there are none
    other: np.ndarray  # int64 [n]: label of the character that it resembles most, apart from its own; -1: there is none
    margin: np.ndarray  # float32 [n]: how much more it resembles that character than its own, cosine
    wrong: np.ndarray  # bool [n]: its label is probably wrong
    suggested: np.ndarray  # bool [n]: wrong, and it resembles the other character as much as that character's own heads do
    weights: np.ndarray  # float32 [n]: from 0 to 1, how far its label was trusted


def check_labels(embeddings: np.ndarray, labels: np.ndarray) -> LabelCheck:
    """Compare every head with the other heads of all characters, twice: in the second round, heads that seemed wrong in the
    first one hardly count.

    embeddings: float32 [n, d], unit length; labels: int [n], from 0. A head that is alone under its label is never called
    wrong: there is nothing to compare it with.
    """
    weights = np.ones(len(labels), np.float32)
    own, other, best = _compare(embeddings, labels, weights)
    weights = (1 / (1 + np.exp(STEEPNESS * (best - own - DOUBT)))).astype(np.float32)
    own, other, best = _compare(embeddings, labels, weights)
    margin = best - own
    counts = np.bincount(labels)
    wrong = (margin > MARGIN) & (counts[labels] > 1) & (other >= 0)
    typical = np.bincount(labels, own * weights) / np.maximum(np.bincount(labels, weights), 1e-6)
    return LabelCheck(own, other, margin, wrong, wrong & (best >= TYPICAL * typical[other]), weights)


def _compare(embeddings: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(likeness to its own character without itself [n], best other label [n], likeness to that [n]); see LabelCheck."""
    count = int(labels.max()) + 1 if len(labels) else 0
    sums = _sums(embeddings * weights[:, None], labels, count)
    means = unit(sums)
    own, other, best = (np.zeros(len(labels), kind) for kind in (np.float32, np.int64, np.float32))
    for start in range(0, len(labels), CHUNK):
        part = slice(start, start + CHUNK)
        heads, mine = embeddings[part], labels[part]
        others = sums[mine] - heads * weights[part, None]
        # what is left of a sum of one head is rounding
        alone = np.linalg.norm(others, axis=1) < 1e-5
        own[part] = np.where(alone, 0, np.einsum("nd,nd->n", unit(others), heads))
        likeness = heads @ means.T
        likeness[np.arange(len(mine)), mine] = -np.inf
        other[part] = likeness.argmax(axis=1)
        best[part] = likeness.max(axis=1)
    nobody = ~np.isfinite(best)  # a dataset of one character
    return own, np.where(nobody, -1, other), np.where(nobody, -1, best)


def should_be_one(embeddings: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> list[tuple[int, int, float]]:
    """(label, label, score) of characters whose heads are as alike as those of one character, most certain first.

    The score adds the cosine between the characters' means and the mean cosine between a head of one and a head of the other.
    embeddings: float32 [n, d], unit length; labels: int [n]; weights: float32 [n], as check_labels returns them. Characters
    with a single head are not compared.
    """
    count = int(labels.max()) + 1 if len(labels) else 0
    sums = _sums(embeddings * weights[:, None], labels, count)
    means = sums / np.maximum(np.bincount(labels, weights, minlength=count), 1e-6)[:, None].astype(np.float32)
    directions, several = unit(sums), np.bincount(labels, minlength=count) > 1
    found = []
    for start in range(0, count, CHUNK):
        part = slice(start, start + CHUNK)
        scores = directions[part] @ directions.T + means[part] @ means.T
        scores[~several[part]] = scores[:, ~several] = 0
        for one, two in zip(*np.nonzero(scores >= ONE)):
            if start + one < two:
                found.append((start + int(one), int(two), float(scores[one, two])))
    return sorted(found, key=lambda pair: -pair[2])


def _sums(values: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """float32 [count, d]: the sum of the values [n, d] of each label."""
    sums = np.zeros((count, values.shape[1]), np.float32)
    np.add.at(sums, labels, values)
    return sums
