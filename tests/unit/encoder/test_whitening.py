import numpy as np
import pytest

from crystal_eyes.encoder.whitening import whitening_matrix, within_covariance
from crystal_eyes.evaluation.retrieval import retrieval


def classes(noise: np.ndarray, count: int = 400, names: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings around class centers with a standard deviation per direction."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % names
    return rng.normal(size=(names, len(noise)))[labels] + rng.normal(size=(count, len(noise))) * noise, labels


def test_the_covariance_is_that_around_each_class_mean():
    x, y = classes(np.array([0.1, 1.0, 3.0]))
    apart = np.concatenate([x[y == label] - x[y == label].mean(axis=0) for label in range(20)])
    naive = sum(np.outer(row, row) for row in apart) / (400 - 20)
    np.testing.assert_allclose(within_covariance(x, y), naive)


def test_names_may_be_any_numbers_and_a_class_may_have_one_picture():
    x, y = classes(np.ones(3))
    np.testing.assert_allclose(within_covariance(x, y * 7 + 3), within_covariance(x, y))
    assert (within_covariance(x[:3], np.array([5, 6, 7])) == 0).all()


def test_whitened_classes_spread_alike_in_every_direction():
    x, y = classes(np.array([0.1, 1.0, 3.0]), count=4000)
    spread = np.diag(within_covariance(x @ whitening_matrix(within_covariance(x, y), 0.05), y))
    before = np.diag(within_covariance(x, y))
    assert spread.max() / spread.min() < before.max() / before.min() / 10


def test_characters_that_vary_in_one_direction_are_found_better():
    noise = np.r_[np.full(4, 8.0), np.full(12, 0.5)]
    x, y = classes(noise)
    unseen, names = classes(noise, seed=1)
    white = unseen @ whitening_matrix(within_covariance(x, y), 0.05)

    def score(z):
        return retrieval((z / np.linalg.norm(z, axis=1, keepdims=True)).astype(np.float32), names)["map_at_r"]

    assert score(white) > score(unseen) + 0.2


def test_no_variation_at_all_is_no_failure():
    assert np.isfinite(whitening_matrix(np.zeros((3, 3)), 0.05)).all()


def test_full_shrinkage_changes_no_direction():
    matrix = whitening_matrix(np.diag([1.0, 2.0, 9.0]), 1.0)
    np.testing.assert_allclose(matrix, np.eye(3) / 2)


@pytest.mark.parametrize("d", [1, 4])
def test_the_matrix_is_symmetric(d):
    matrix = whitening_matrix(np.diag(np.arange(1.0, d + 1)), 0.05)
    np.testing.assert_allclose(matrix, matrix.T)
