"""The embeddings on disk, and the search in them against a loop over all of them."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystal_eyes import vectors
from crystal_eyes.vectors import Part, Vectors, in_8_bits, nearest, sketches, unit

POOL = ThreadPoolExecutor(2)


def heads(count: int, dimensions: int, seed: int) -> np.ndarray:
    """Embeddings of characters with about ten heads each."""
    rng = np.random.default_rng(seed)
    centers = rng.standard_normal((max(1, count // 10), dimensions))
    found = centers[rng.integers(0, len(centers), count)] + 0.5 * rng.standard_normal((count, dimensions))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@given(st.integers(1, 60), st.sampled_from([3, 16, 64, 100, 512]), st.integers(0, 9), st.data())
@settings(max_examples=60, deadline=None)
def test_few_rows_are_all_compared_as_a_naive_loop_does(count, dimensions, seed, data):
    stored = in_8_bits(heads(count, dimensions, seed))
    dead = np.array(sorted(data.draw(st.sets(st.integers(0, count - 1)))), np.int64)
    query = heads(1, dimensions, seed + 100)[0]
    rows, cosines = nearest([Part(stored, sketches(stored), dead)], query, POOL)
    expected = {}
    for row in range(count):
        vector = stored[row].astype(float)
        if row not in dead:
            expected[row] = float(vector @ query / max(np.linalg.norm(vector), 1e-12))
    assert set(rows.tolist()) == set(expected)
    np.testing.assert_allclose(cosines, [expected[row] for row in rows.tolist()], atol=1e-5)
    assert (np.diff(cosines) <= 0).all()


def test_of_many_rows_the_nearest_are_found_and_no_dead_one(monkeypatch):
    monkeypatch.setattr(vectors, "CANDIDATES", 500)
    embeddings = heads(20_000, 512, 0)
    stored = in_8_bits(embeddings)
    dead = np.arange(0, 20_000, 7)
    alive = np.setdiff1d(np.arange(20_000), dead)
    found = 0
    for query in heads(20_000, 512, 0)[:100] + heads(100, 512, 3) * 0.3:
        query /= np.linalg.norm(query)
        rows, _ = nearest([Part(stored, sketches(stored), dead)], query, POOL)
        assert 500 <= len(rows) < 600 and not set(rows.tolist()) & set(dead.tolist())
        exact = alive[np.argsort(-(embeddings[alive] @ query))[:10]]
        found += len(set(rows[:10].tolist()) & set(exact.tolist()))
    assert found >= 950


@pytest.mark.parametrize("dimensions", [16, 70, 512])
def test_rows_are_read_as_they_were_written_also_where_they_are_not_in_one_piece(tmp_path, dimensions):
    store, embeddings = Vectors(tmp_path, dimensions), heads(9, dimensions, 0)
    store.write(np.arange(6), embeddings[:6])
    store.write(np.array([1, 2, 4, 6, 7]), embeddings[[6, 7, 8, 0, 1]])
    stored, signs = store.open(8)
    expected = in_8_bits(embeddings[[0, 6, 7, 3, 8, 5, 0, 1]])
    assert (stored == expected).all() and (signs == sketches(expected)).all()
    assert (unit(stored) * embeddings[[0, 6, 7, 3, 8, 5, 0, 1]]).sum(axis=1).min() > 0.999


def test_files_that_are_too_short_are_an_error_and_not_a_crash(tmp_path):
    store = Vectors(tmp_path, 16)
    store.write(np.arange(2), heads(2, 16, 0))
    with pytest.raises(OSError, match="shorter than its database says"):
        store.open(3)
