"""The measures of benchmarks/recipes, against naive loops."""

import numpy as np
import pytest

from benchmarks.recipes.measures import (
    SHOTS,
    LabeledEmbeddings,
    all_measures,
    draw,
    few_shot,
    map_at_r,
    sketch_recall,
    strangers,
)


def heads(names: int = 6, each: int = 9, noise: float = 0.7, seed: int = 0, artworks: int = 0) -> LabeledEmbeddings:
    """Heads around a direction per character; artworks: how many of a character's heads share an artwork with the next's."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(names), each)
    x = np.random.default_rng(99).normal(size=(names, 8))[labels] + noise * rng.normal(size=(len(labels), 8))
    artwork = np.array([f"own {row}" for row in range(len(labels))])
    for label in range(names):
        artwork[np.flatnonzero(labels == label)[:artworks]] = [f"shared {label // 2} {n}" for n in range(artworks)]
    unit = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    return LabeledEmbeddings(unit, np.char.add("c", labels.astype(str)), artwork, np.full(len(labels), "one"))


def others(some: LabeledEmbeddings, row: int) -> list[int]:
    """Rows of other artworks than a row's, those most like it first."""
    rows = [i for i in range(len(some.character)) if some.artwork[i] != some.artwork[row]]
    return sorted(rows, key=lambda i: -float(some.embeddings[i] @ some.embeddings[row]))


@pytest.mark.parametrize("artworks", [0, 4])
def test_map_at_r_counts_other_artworks_only(artworks):
    some, expected = heads(artworks=artworks), []
    for row, name in enumerate(some.character):
        order = others(some, row)
        r = sum(some.character[i] == name for i in order)
        hits = [some.character[i] == name for i in order[:r]]
        expected.append(sum(sum(hits[: k + 1]) / (k + 1) for k in range(r) if hits[k]) / r)
    assert map_at_r(some) == pytest.approx(np.mean(expected), abs=1e-6)


def test_a_head_without_another_of_its_character_is_no_query():
    some = heads()
    alone = LabeledEmbeddings(some.embeddings[:3], np.array(["a", "a", "b"]), some.artwork[:3], some.set[:3])
    assert map_at_r(alone) in (0.0, 0.5, 1.0)


@pytest.mark.parametrize(("learn", "test"), [(5, None), (4, 3), (9, 1)])
def test_training_and_test_heads_share_no_artwork(learn, test):
    some = heads(each=9, artworks=3)
    if learn == 9:
        with pytest.raises(ValueError):  # nothing is left to test on
            draw(some, learn, test, 0)
        return
    left, right = draw(some, learn, test, 0)
    for name in np.unique(some.character[left]):
        mine, theirs = left[some.character[left] == name], right[some.character[right] == name]
        assert len(mine) == learn and len(theirs) >= 1 and (test is None or len(theirs) == test)
        assert not set(some.artwork[mine]) & set(some.artwork[theirs])


def test_five_heads_are_named_by_the_nearest_mean():
    some = heads(noise=1.2)
    left, right = draw(some, SHOTS, None, 3)
    names = np.unique(some.character[left])
    means = np.stack([some.embeddings[left][some.character[left] == name].mean(axis=0) for name in names])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    orders = [sorted(range(len(names)), key=lambda n: -float(some.embeddings[row] @ means[n])) for row in right]
    places = np.array([names[order].tolist().index(some.character[row]) for order, row in zip(orders, right)])
    assert few_shot(some, 3) == pytest.approx([(places < k).mean() for k in (1, 3, 5)])


def test_a_sketch_is_not_found_in_its_own_artwork():
    some = heads()
    assert sketch_recall(some, some) == pytest.approx(
        np.mean([some.character[others(some, row)[0]] == some.character[row] for row in range(len(some.character))])
    )
    assert np.isnan(sketch_recall(some, some[np.zeros(0, int)]))


def test_heads_far_from_every_mean_are_recognized_as_unknown():
    assert strangers(heads(names=10, noise=0.1), 0) > 0.95


def test_all_measures_of_separated_heads_are_high():
    some = heads(names=12, each=45, noise=0.1)
    found = all_measures(some, some, some[np.arange(5)], seeds=2)
    assert min(found.values()) > 0.95 and set(found) >= {"map_at_r", "rule_2020_top_5", "five_heads_top_1", "sketch_r1"}
