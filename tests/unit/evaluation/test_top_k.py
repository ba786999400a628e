import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystal_eyes.evaluation.top_k import bootstrap_interval, rank_of_truth, top_k_accuracy


@settings(max_examples=60, deadline=None)
@given(classes=st.integers(2, 9), k=st.integers(1, 9), seed=st.integers(0, 1000))
def test_ranks_and_top_k_are_what_loops_find(classes, k, seed):
    rng = np.random.default_rng(seed)
    width = min(k, classes)
    candidates = np.stack([rng.permutation(classes)[:width] for _ in range(20)])
    truth = rng.integers(0, classes, 20)
    ranks = rank_of_truth(candidates, truth)
    expected = [list(row).index(t) if t in row else width for row, t in zip(candidates, truth)]
    assert ranks.tolist() == expected
    for j in range(1, width + 1):
        assert top_k_accuracy(ranks, j) == pytest.approx(sum(t in row[:j] for row, t in zip(candidates, truth)) / 20)


def test_the_bootstrap_interval_is_what_loops_find():
    rng = np.random.default_rng(0)
    classes = np.repeat([f"c{i}" for i in range(12)], rng.integers(1, 15, 12))
    ease = dict(zip(np.unique(classes), rng.uniform(0, 1, 12)))
    hits = rng.random(len(classes)) < [ease[c] for c in classes]
    means = []
    for _ in range(4000):
        drawn = [hits[classes == c] for c in rng.choice(np.unique(classes), 12)]
        means.append(np.concatenate(drawn).mean())
    assert bootstrap_interval(hits, classes, seed=1, rounds=4000) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.03)


def test_the_interval_contains_the_mean_and_narrows_with_more_characters():
    rng = np.random.default_rng(0)
    widths = []
    for count in (10, 100, 1000):
        hits = np.repeat(rng.random(count) < 0.7, 5)  # all pictures of a character go well, or none
        low, high = bootstrap_interval(hits, np.repeat(np.arange(count), 5), seed=0)
        assert 0 <= low <= hits.mean() <= high <= 1
        widths.append(high - low)
    assert widths[0] > 2 * widths[1] > 4 * widths[2] > 0


def test_pictures_of_one_character_are_not_counted_as_independent():
    hits = np.repeat([1, 0] * 10, 50)
    by_character = bootstrap_interval(hits, np.repeat(np.arange(20), 50), seed=0)
    by_picture = bootstrap_interval(hits, np.arange(1000), seed=0)
    assert by_character[1] - by_character[0] > 4 * (by_picture[1] - by_picture[0])


def test_intervals_of_sure_things_are_points_and_a_seed_decides_the_others():
    characters = np.repeat(np.arange(10), 4)
    assert bootstrap_interval(np.ones(40, bool), characters, 0) == (1.0, 1.0)
    assert bootstrap_interval(np.zeros(40, bool), characters, 0) == (0.0, 0.0)
    one = bootstrap_interval(np.arange(40) % 4 == 0, np.zeros(40), 0)
    assert one == (0.25, 0.25)
    hits = np.random.default_rng(0).random(40) < 0.5
    characters = np.repeat(np.arange(8), np.arange(1, 9))
    first, again, other = (bootstrap_interval(hits[:36], characters, seed, rounds=50) for seed in (5, 5, 6))
    assert first == again != other
