import numpy as np
import pytest

from crystal_eyes.audit import labels as module
from crystal_eyes.audit.labels import MARGIN, check_labels, should_be_one


def drawn(sizes: list[int], seed: int = 0, width: int = 64, noise: float = 0.08) -> tuple[np.ndarray, np.ndarray]:
    """Heads of characters of these sizes: embeddings around a random direction each, and labels."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    embeddings = rng.normal(size=(len(sizes), width))[labels] / np.sqrt(width) + noise * rng.normal(size=(len(labels), width))
    return (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)).astype(np.float32), labels


def test_planted_wrong_labels_are_found_and_the_right_name_is_suggested():
    embeddings, truth = drawn([6] * 20)
    labels = truth.copy()
    planted = np.arange(3, 120, 18)  # one head of every third character
    labels[planted] = (truth[planted] + 7) % 20
    found = check_labels(embeddings, labels)
    assert np.flatnonzero(found.wrong).tolist() == planted.tolist()
    assert found.suggested[planted].all() and (found.other[planted] == truth[planted]).all()
    assert (found.weights[planted] < 0.1).all() and (np.delete(found.weights, planted) > 0.5).all()


def test_right_labels_are_left_alone():
    found = check_labels(*drawn([2] * 30 + [40]))
    assert not found.wrong.any() and not found.suggested.any()


@pytest.mark.parametrize("chunk", [3, 2048])
def test_the_likeness_is_what_a_naive_loop_computes(monkeypatch, chunk):
    monkeypatch.setattr(module, "CHUNK", chunk)
    embeddings, labels = drawn([1, 2, 5, 3], noise=0.3)
    labels[[2, 6]] = labels[[6, 2]]
    weights = np.random.default_rng(1).uniform(0.1, 1, len(labels)).astype(np.float32)
    own, other, best = module._compare(embeddings, labels, weights)
    for row in range(len(labels)):
        likeness = {}
        for label in range(4):
            rest = [i for i in range(len(labels)) if labels[i] == label and i != row]
            mean = sum((weights[i] * embeddings[i] for i in rest), np.zeros(64))
            likeness[label] = float(mean @ embeddings[row] / np.linalg.norm(mean)) if rest else 0.0
        assert own[row] == pytest.approx(likeness.pop(int(labels[row])), abs=1e-5)
        assert likeness[int(other[row])] == pytest.approx(max(likeness.values()), abs=1e-5)
        assert best[row] == pytest.approx(max(likeness.values()), abs=1e-5)


def test_a_head_that_is_alone_under_its_label_is_never_called_wrong():
    embeddings, labels = drawn([5, 5])
    labels[0] = 2
    found = check_labels(embeddings, labels)
    assert found.own[0] == 0 and found.margin[0] > MARGIN and not found.wrong[0]


def test_one_character_and_no_head_at_all_are_no_error():
    assert not check_labels(*drawn([4])).wrong.any()
    assert len(check_labels(np.zeros((0, 8), np.float32), np.zeros(0, int)).wrong) == 0
    assert should_be_one(np.zeros((0, 8), np.float32), np.zeros(0, int), np.zeros(0, np.float32)) == []


def test_a_character_under_two_labels_should_be_one_and_others_should_not():
    embeddings, labels = drawn([8, 6, 6, 1, 1], noise=0.05)
    labels[:4] = 5  # half of the first character
    embeddings[-1] = embeddings[-2]  # characters with a single head are not compared
    found = should_be_one(embeddings, labels, np.ones(len(labels), np.float32))
    assert [pair[:2] for pair in found] == [(0, 5)]


def test_characters_of_one_style_are_alike_but_not_one():
    embeddings, labels = drawn([8] * 6, noise=0.05)
    embeddings += embeddings.mean(axis=0) / np.linalg.norm(embeddings.mean(axis=0))  # what all have in common
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    means = np.stack([embeddings[labels == one].mean(axis=0) for one in range(6)])
    assert (means @ means.T).min() > 0.54  # of one style
    labels[:4] = 6  # half of the first character
    found = should_be_one(embeddings, labels, np.ones(len(labels), np.float32))
    assert [pair[:2] for pair in found] == [(0, 6)]
