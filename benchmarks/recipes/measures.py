"""Measures of an encoder on whole sets that it never saw.

No neighbor shares the query's artwork; a head of unknown artwork is treated as its own artwork.
"""

from dataclasses import dataclass

import numpy as np

from crystal_eyes.classifiers.base import best
from crystal_eyes.classifiers.perceptron import Perceptron
from crystal_eyes.data.stable_number import stable_number
from crystal_eyes.evaluation.open_set import open_set
from crystal_eyes.evaluation.retrieval import retrieval
from crystal_eyes.evaluation.top_k import rank_of_truth, top_k_accuracy
from crystal_eyes.recognizer.naming import mean_embedding

SHOTS = 5  # heads per character, for class means
TRAIN, TEST = 25, 20  # heads per character in the evaluation of 2020


@dataclass
class LabeledEmbeddings:
    """float32 [n, d] unit-length embeddings; str [n] character, artwork and set."""

    embeddings: np.ndarray
    character: np.ndarray
    artwork: np.ndarray
    set: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> "LabeledEmbeddings":
        return LabeledEmbeddings(self.embeddings[rows], self.character[rows], self.artwork[rows], self.set[rows])


def map_at_r(heads: LabeledEmbeddings) -> float:
    return retrieval(heads.embeddings, heads.character, heads.artwork)["map_at_r"]


def draw(heads: LabeledEmbeddings, train: int, test: int | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train and to test on: `train` (and at most `test`) heads per character, with no artwork on both sides.

    Characters without enough heads are left out.
    """
    left, right = [], []
    for name in np.unique(heads.character):
        rows = np.flatnonzero(heads.character == name)
        order = rows[np.random.default_rng([seed, stable_number(name)]).permutation(len(rows))]
        own = order[:train]
        rest = order[train:]
        rest = rest[~np.isin(heads.artwork[rest], heads.artwork[own])][:test]
        if len(own) == train and len(rest) and (test is None or len(rest) == test):
            left.append(own)
            right.append(rest)
    return np.concatenate(left), np.concatenate(right)


def top(scores: np.ndarray, truth: np.ndarray) -> list[float]:
    """top-1/3/5 of scores [n, classes] with the true class int [n]."""
    ranks = rank_of_truth(best(scores, 5)[0], truth)
    return [top_k_accuracy(ranks, k) for k in (1, 3, 5)]


def class_means(heads: LabeledEmbeddings, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    some = heads[train]
    names = np.unique(some.character)
    return names, np.stack([mean_embedding(some.embeddings[some.character == name]) for name in names])


def few_shot(heads: LabeledEmbeddings, seed: int, shots: int = SHOTS) -> list[float]:
    """top-1/3/5 of the nearest class mean of so many heads."""
    train, test = draw(heads, shots, None, seed)
    names, means = class_means(heads, train)
    return top(heads.embeddings[test] @ means.T, np.searchsorted(names, heads.character[test]))


def rule_of_2020(heads: LabeledEmbeddings, seed: int) -> list[float]:
    """top-1/3/5 of a linear layer on TRAIN heads per character, tested on TEST."""
    train, test = draw(heads, TRAIN, TEST, seed)
    names, labels = np.unique(heads.character[train], return_inverse=True)
    layer = Perceptron(Perceptron.Options(epochs=60, learning_rate=1e-2), seed)
    layer.fit(heads.embeddings[train], labels)
    return top(layer.logits(heads.embeddings[test]), np.searchsorted(names, heads.character[test]))


def sketch_recall(heads: LabeledEmbeddings, sketches: LabeledEmbeddings) -> float:
    """R@1: whether the colored head nearest to each sketch, of another artwork, is the same character."""
    found = []
    for start in range(0, len(sketches.character), 512):
        some = sketches[np.arange(start, min(start + 512, len(sketches.character)))]
        similar = some.embeddings @ heads.embeddings.T
        similar[some.artwork[:, None] == heads.artwork[None]] = -2
        found.append(heads.character[similar.argmax(axis=1)] == some.character)
    return float(np.concatenate(found).mean()) if found else float("nan")


def strangers(heads: LabeledEmbeddings, seed: int, shots: int = SHOTS) -> float:
    """AUROC of the distance to the nearest class mean (of so many heads), with half of the characters left out."""
    names = np.unique(heads.character)
    away = np.isin(heads.character, names[np.array([stable_number(f"{seed} {name}") % 2 == 0 for name in names])])
    train, test = draw(heads[~away], shots, None, seed)
    known = heads[~away]
    _, means = class_means(known, train)
    near, far = ((-(some @ means.T).max(axis=1)) for some in (known.embeddings[test], heads.embeddings[away]))
    return open_set(near, np.ones(len(near), bool), far)["auroc"]


def all_measures(
    heads: LabeledEmbeddings, generated: LabeledEmbeddings, drawn: LabeledEmbeddings, seeds: int = 5
) -> dict[str, float]:
    """Every measure; those that draw heads at random are means over draws.

    generated: line art generated from colored heads; drawn: sketches by artists.
    """
    found = {"map_at_r": map_at_r(heads), "lines_r1": sketch_recall(heads, generated), "sketch_r1": sketch_recall(heads, drawn)}
    shots = np.mean([few_shot(heads, seed) for seed in range(seeds)], axis=0)
    rule = np.mean([rule_of_2020(heads, seed) for seed in range(seeds)], axis=0)
    found |= {f"five_heads_top_{k}": float(v) for k, v in zip((1, 3, 5), shots)}
    found |= {f"rule_2020_top_{k}": float(v) for k, v in zip((1, 3, 5), rule)}
    return found | {"strangers_auroc": float(np.mean([strangers(heads, seed) for seed in range(seeds)]))}
