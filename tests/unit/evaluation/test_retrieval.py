import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

from crystal_eyes.evaluation import retrieval as module
from crystal_eyes.evaluation.retrieval import retrieval


def random_embeddings(seed: int, count: int, d: int = 5) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(count, d)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def naive_retrieval(embeddings: np.ndarray, labels, artworks) -> tuple[float, float]:
    """MAP@R and precision@1 by loops, as Musgrave et al. define them, without pictures of the query's artwork."""
    maps, firsts = [], []
    for query in range(len(labels)):
        others = [i for i in range(len(labels)) if artworks[i] != artworks[query]]
        r = sum(labels[i] == labels[query] for i in others)
        if r == 0:
            continue
        others.sort(key=lambda i: float(((embeddings[i].astype(float) - embeddings[query]) ** 2).sum()))
        hits, total = 0, 0.0
        for place, i in enumerate(others[:r], 1):
            if labels[i] == labels[query]:
                hits += 1
                total += hits / place
        maps.append(total / r)
        firsts.append(labels[others[0]] == labels[query])
    return (float(np.mean(maps)), float(np.mean(firsts))) if maps and len(set(labels)) > 1 else (math.nan, math.nan)


@settings(max_examples=60, deadline=None)
@given(
    labels=st.lists(st.sampled_from("abcdefgh"), min_size=4, max_size=30),
    works=st.integers(1, 40),
    seed=st.integers(0, 1000),
    chunk=st.sampled_from([1, 7, 512]),
)
def test_retrieval_is_what_loops_find(labels, works, seed, chunk):
    embeddings, labels = random_embeddings(seed, len(labels)), np.array(labels)
    artworks = np.random.default_rng(seed).integers(0, works, len(labels))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", chunk)
        for given_artworks, meant in ((artworks, artworks), (None, np.arange(len(labels)))):
            found = retrieval(embeddings, labels, given_artworks)
            expected = naive_retrieval(embeddings, labels, meant)
            assert (found["map_at_r"], found["precision_at_1"]) == pytest.approx(expected, abs=1e-6, nan_ok=True)


def test_retrieval_is_what_the_field_s_library_finds():
    embeddings, labels = random_embeddings(0, 700), np.random.default_rng(1).integers(0, 30, 700)
    names = {"mean_average_precision_at_r": "map_at_r", "precision_at_1": "precision_at_1"}
    library = AccuracyCalculator(include=tuple(names), k="max_bin_count", device=torch.device("cpu"))
    expected = library.get_accuracy(torch.from_numpy(embeddings), torch.from_numpy(labels))
    assert retrieval(embeddings, labels) == pytest.approx({mine: expected[name] for name, mine in names.items()}, abs=1e-6)


def test_perfect_and_hopeless_retrieval():
    corners = np.eye(4, dtype=np.float32)
    together = retrieval(corners[[0, 0, 1, 1, 2, 2]], np.array([*"aabbcc"]))
    apart = retrieval(corners[[0, 1, 0, 1]], np.array([*"aabb"]))
    assert together == {"map_at_r": 1.0, "precision_at_1": 1.0}
    assert apart == {"map_at_r": 0.0, "precision_at_1": 0.0}


def test_retrieval_does_not_care_how_characters_are_called_nor_about_a_rotation():
    embeddings, labels = random_embeddings(0, 40), np.random.default_rng(1).integers(0, 6, 40)
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(5, 5)))[0].astype(np.float32)
    expected = retrieval(embeddings, labels)
    assert retrieval(embeddings @ rotation, np.array([f"名 {9 - label}" for label in labels])) == pytest.approx(
        expected, abs=1e-6
    )


def test_retrieval_of_pictures_that_are_all_alone_or_all_of_one_character_is_not_a_number():
    assert math.isnan(retrieval(random_embeddings(0, 3), np.array([*"aaa"]))["map_at_r"])
    assert math.isnan(retrieval(random_embeddings(0, 3), np.array([*"abc"]))["map_at_r"])
