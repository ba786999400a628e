import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytorch_metric_learning.samplers import MPerClassSampler
from pytorch_metric_learning.utils import common_functions

from crystal_eyes.encoder.sampling import epoch_rows, group_by_set

# heads a character, by set
SETS = {"many": [1, 2, 3, 40] * 5, "few": [2, 6], "some": [5] * 10}
NAMES = np.concatenate([np.repeat(name, sum(heads)) for name, heads in SETS.items()])
LABELS = np.repeat(np.arange(32), np.concatenate(list(SETS.values())))


def drawn(groups: np.ndarray, one_group: float = 1.0, steps: int = 200, seed: int = 0) -> np.ndarray:
    return epoch_rows(LABELS, groups, one_group, per_class=2, batch=16, steps=steps, seed=seed).reshape(steps, 16)


def test_a_batch_is_of_one_group_and_two_heads_of_each_of_eight_characters():
    groups = group_by_set(LABELS, NAMES, 8)
    for batch in drawn(groups):
        assert len(set(groups[batch])) == 1
        characters, heads = np.unique(LABELS[batch], return_counts=True)
        assert len(characters) == 8 and set(heads) == {2}


def test_the_share_of_batches_that_are_of_one_group_is_the_asked_one():
    groups = group_by_set(LABELS, NAMES, 8)
    alone = [len(set(groups[batch])) == 1 for batch in drawn(groups, 0.75, steps=2000)]
    assert 0.72 < np.mean(alone) < 0.79  # of all characters, too, eight may happen to be of one set


@pytest.mark.parametrize("one_group", [0.0, 0.5, 1.0])
def test_every_character_comes_about_as_often_whatever_its_set_and_heads(one_group):
    counts = np.bincount(LABELS[drawn(group_by_set(LABELS, NAMES, 8), one_group, steps=4000).ravel()])
    assert counts.min() > 0.85 * counts.mean() and counts.max() < 1.15 * counts.mean()


@pytest.mark.parametrize("groups, one_group", [(group_by_set(LABELS, NAMES, 8), 0.0), (np.zeros(len(LABELS), int), 1.0)])
def test_of_all_characters_the_batches_are_the_librarys(groups, one_group):
    common_functions.NUMPY_RANDOM.seed(7)
    theirs = list(MPerClassSampler(LABELS, 2, 16, length_before_new_iter=160))
    assert drawn(groups, one_group, steps=10, seed=7).ravel().tolist() == theirs


def test_a_seed_gives_the_same_batches_and_another_gives_others():
    groups = group_by_set(LABELS, NAMES, 8)
    drawn(groups, seed=3)  # what was drawn before doesn't count
    np.testing.assert_array_equal(drawn(groups, seed=1), drawn(groups, seed=1))
    assert (drawn(groups, seed=1) != drawn(groups, seed=2)).any()


def test_small_sets_are_one_group_and_take_the_next_larger_where_they_are_still_too_few():
    labels = np.arange(20)
    sets = np.array(["a"] * 8 + ["b"] * 3 + ["c"] * 9)
    assert group_by_set(labels, sets, 4).tolist() == [0] * 11 + [1] * 9  # b is too small, a the smaller of the others
    assert len(set(group_by_set(labels, sets, 3))) == 3
    sets = np.array(["a"] * 14 + ["b"] * 3 + ["c"] * 3)
    assert group_by_set(labels, sets, 4).tolist() == [1] * 14 + [0] * 6


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 3)), min_size=1, max_size=8), st.integers(1, 8))
def test_every_group_has_characters_for_a_batch_and_no_set_is_torn(sizes, least):
    names = np.concatenate([[f"set {number}"] * (characters * heads) for number, (characters, heads) in enumerate(sizes)])
    labels = np.unique(
        [f"{n} {c}" for n, (characters, heads) in enumerate(sizes) for c in range(characters) for _ in range(heads)],
        return_inverse=True,
    )[1]
    least = min(least, labels.max() + 1)
    groups = group_by_set(labels, names, least)
    assert sorted(set(groups)) == list(range(groups.max() + 1))
    assert all(len(set(labels[groups == group])) >= least for group in set(groups))
    assert all(len(set(groups[names == name])) == 1 for name in set(names))
    epoch_rows(labels, groups, 0.5, 2, 2 * least, 3, 0)


@pytest.mark.parametrize("per_class", [1, 4])
def test_a_character_with_too_few_heads_repeats_them(per_class):
    labels = np.array([0, 1, 1, 1, 1])
    batch = epoch_rows(labels, np.zeros(5, int), 1.0, per_class, 2 * per_class, 1, 0)
    assert np.bincount(labels[batch]).tolist() == [per_class, per_class]
