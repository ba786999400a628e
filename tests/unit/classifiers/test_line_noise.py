"""The logits of heads in line art or gray."""

import numpy as np
import pytest

from crystal_eyes.classifiers.expected_points import ExpectedPoints
from crystal_eyes.classifiers.line_noise import LineNoise

D, CHARACTERS = 8, 12


@pytest.fixture
def heads() -> tuple[np.ndarray, np.ndarray]:
    """Embeddings and labels: 3 to 6 heads of each character."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(CHARACTERS), rng.integers(3, 7, CHARACTERS))
    x = rng.normal(size=(CHARACTERS, D))[labels] + rng.normal(size=(len(labels), D)) * np.linspace(0.2, 0.6, D)
    return x / np.linalg.norm(x, axis=1, keepdims=True), labels


def means_and_counts(x: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.stack([x[labels == label].mean(axis=0) for label in range(CHARACTERS)]), np.bincount(labels)


def residuals(count: int = 100) -> np.ndarray:
    rng = np.random.default_rng(1)
    return 0.1 + rng.normal(size=(count, D)) @ (rng.normal(size=(D, D)) * 0.1)


def test_a_heads_logits_are_its_log_densities_around_the_points_that_are_expected(heads):
    means, counts = means_and_counts(*heads)
    expected, some = ExpectedPoints.fit(*heads), residuals()
    matrix = expected.matrix
    covariance = np.cov(some @ matrix, rowvar=False)
    covariance = np.where(np.eye(D) > 0, covariance, 0.8 * covariance) + np.diag(expected.ratios / (expected.ratios + 1))
    queries = np.random.default_rng(2).normal(size=(9, D)) / 3
    density = np.zeros((9, CHARACTERS))
    for row, query in enumerate(queries):
        for label, (mean, count) in enumerate(zip(means, counts)):
            seen = expected.ratios * count
            apart = (query - expected.center) @ matrix - (mean - expected.center) @ matrix * seen / (seen + 1)
            density[row, label] = -0.5 * apart @ np.linalg.solve(covariance, apart)
    noise = LineNoise.fit(expected, some)
    logits = noise.logits(queries, means, counts)
    np.testing.assert_allclose(logits - logits[:, :1], (density - density[:, :1]) / 25, rtol=1e-4, atol=1e-4)
    # by the layer of colored heads
    weight, bias = expected.layer(means, counts)
    for asked in (queries, queries[:2]):
        found = noise.adapted(asked) @ weight.T + bias + noise.bias_changes(means, counts)
        np.testing.assert_allclose(found, logits[: len(asked)], rtol=1e-4, atol=1e-4)


def test_heads_that_vary_like_colored_ones_have_their_logits(heads):
    means, counts = means_and_counts(*heads)
    expected = ExpectedPoints.fit(*heads)
    same = LineNoise(expected, np.linalg.inv(expected.matrix))  # of the covariance 1
    queries = np.random.default_rng(2).normal(size=(9, D))
    np.testing.assert_allclose(same.adapted(queries), queries, atol=1e-5)
    np.testing.assert_allclose(same.bias_changes(means, counts), 0, atol=1e-6)
    np.testing.assert_allclose(same.logits(queries, means, counts), expected.logits(queries, means, counts), atol=1e-4)


def test_a_direction_in_which_line_art_varies_much_counts_little(heads):
    """The character is told by the other directions."""
    means, counts = means_and_counts(*heads)
    expected = ExpectedPoints.fit(*heads)
    first = (means[1] - means[0]) / np.linalg.norm(means[1] - means[0])
    rng = np.random.default_rng(3)
    some = 0.05 * rng.normal(size=(200, D)) + 3 * rng.normal(size=(200, 1)) * first
    logits = LineNoise.fit(expected, some).logits(means[:2], means, counts)
    colored = expected.logits(means[:2], means, counts)
    assert (logits[0, 0] - logits[0, 1]) < 0.1 * (colored[0, 0] - colored[0, 1])
    assert (logits[0, 0] - logits[0, 2:].max()) > 0 and (logits[1, 1] - logits[1, 2:].max()) > 0


def test_it_is_stored_in_16_bits(heads):
    expected = ExpectedPoints.fit(*heads)
    noise = LineNoise.fit(expected, residuals())
    again = LineNoise.from_stored(expected, noise.stored())
    assert noise.stored().dtype == np.float16 and noise.stored().shape == (D, D)
    np.testing.assert_allclose(again.matrix, noise.matrix, rtol=1e-3, atol=1e-6)
