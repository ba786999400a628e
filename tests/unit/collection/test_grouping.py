import numpy as np
import pytest

from crystal_eyes.collection import grouping
from crystal_eyes.collection.grouping import group, nearest


def drawn(sizes: list[int], seed: int = 0, width: int = 64, noise: float = 0.06) -> tuple[np.ndarray, np.ndarray]:
    """Heads of characters of these sizes, in random order: embeddings around a random direction each, and characters."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    embeddings = rng.normal(size=(len(sizes), width))[truth] / np.sqrt(width) + noise * rng.normal(size=(len(truth), width))
    return (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)).astype(np.float32), truth


def test_characters_become_groups_the_largest_first_and_single_heads_none():
    embeddings, truth = drawn([40, 2, 5, 1, 12, 1])
    found = group(embeddings)
    assert (found[np.isin(truth, [3, 5])] == -1).all()
    for number, character in enumerate([0, 4, 2, 1]):
        assert (found[truth == character] == number).all()


def test_two_ways_of_drawing_a_character_become_one_group_by_what_lies_between_them():
    angles = np.deg2rad(np.linspace(0, 130, 27))  # heads at both ends are not alike at all: cosine -0.64
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert (group(embeddings) == 0).all()


def test_one_chance_link_does_not_join_two_characters():
    embeddings, truth = drawn([20, 20])
    embeddings[np.flatnonzero(truth == 1)[0]] = embeddings[np.flatnonzero(truth == 0)[0]]
    found = group(embeddings)
    assert len(np.unique(found)) == 2 and np.bincount(found).max() <= 21


@pytest.mark.parametrize("block", [3, 256])
def test_the_links_are_the_nearest_ones_of_a_naive_loop(monkeypatch, block):
    monkeypatch.setattr(grouping, "BLOCK", block)
    embeddings, _ = drawn([5, 4, 4], noise=0.4)
    source, target, cosines = nearest(embeddings, 4)
    for row in range(13):
        order = sorted((other for other in range(13) if other != row), key=lambda other: -embeddings[row] @ embeddings[other])
        assert set(target[source == row].tolist()) == set(order[:4])
        assert np.allclose(cosines[source == row], embeddings[target[source == row]] @ embeddings[row], atol=1e-6)


def test_what_is_decided_stays_together_and_apart():
    embeddings, truth = drawn([10, 10, 10])
    first, second = np.flatnonzero(truth == 0), np.flatnonzero(truth == 1)
    decided = np.full(30, -1)
    decided[first[:5]], decided[first[5:]] = 7, 8  # two characters, although they look the same
    decided[[first[0], second[0]]] = 7  # one character, although they look different
    found = group(embeddings, decided)
    assert len(set(found[first[:5]])) == 1 and len(set(found[first[5:]])) == 1
    assert found[first[0]] == found[second[0]] != found[first[9]]
    third = found[truth == 2]
    assert len(set(third)) == 1 and third[0] not in (found[first[0]], found[first[9]])


def test_a_single_head_that_was_decided_is_a_group():
    embeddings, _ = drawn([1, 1, 4])
    assert (group(embeddings) < 0).sum() == 2
    decided = np.full(6, -1)
    decided[np.flatnonzero(group(embeddings) < 0)[0]] = 3
    assert (group(embeddings, decided) < 0).sum() == 1


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_few_heads_are_no_error(count):
    assert len(group(np.eye(3, dtype=np.float32)[:count])) == count


def test_equal_embeddings_are_one_group_and_the_order_of_heads_does_not_matter():
    embeddings, truth = drawn([6, 6, 50], noise=0.05)
    embeddings[truth == 2] = embeddings[truth == 2][0]
    found = group(embeddings)
    turned = group(embeddings[::-1])[::-1]
    pairs = {(one, two) for one, two in zip(found.tolist(), turned.tolist())}
    assert len(pairs) == 3
