"""Where the points of characters are expected, and what degraded heads change."""

import numpy as np
import pytest

from crystal_eyes.classifiers.expected_points import ExpectedPoints

D, CHARACTERS = 8, 30


def drawn(seed: int, each: int, spread: np.ndarray, length: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Heads and labels; length: of what sets a head apart from the mean of all."""
    points = np.random.default_rng(0).normal(size=(CHARACTERS, D))
    labels = np.repeat(np.arange(CHARACTERS), each)
    return 0.3 + length * (points[labels] + np.random.default_rng(seed).normal(size=(len(labels), D)) * spread), labels


EVEN, UNEVEN = np.full(D, 0.3), np.array([3.0] * 4 + [0.3] * 4)


@pytest.fixture
def expected() -> ExpectedPoints:
    return ExpectedPoints.fit(*drawn(1, 6, EVEN), drawn(2, 20, UNEVEN))


def means_and_counts(expected: ExpectedPoints, each: int = 6) -> tuple[np.ndarray, np.ndarray]:
    x, labels = drawn(1, each, EVEN)
    scaled = expected.scaled(x)
    return np.stack([scaled[labels == label].mean(axis=0) for label in range(CHARACTERS)]), np.bincount(labels)


def test_a_degraded_heads_logits_are_log_densities_by_the_covariance_of_such_heads(expected):
    x, labels = drawn(1, 6, EVEN)
    means = np.stack([x[labels == label].mean(axis=0) for label in range(CHARACTERS)])
    degraded, of = drawn(2, 20, UNEVEN)
    covariance = sum(np.outer(one, one) for one in degraded - means[of]) / len(of)
    covariance = 0.7 * covariance + 0.3 * np.trace(covariance) / D * np.eye(D)
    means, counts = means_and_counts(expected)
    asked, _ = drawn(3, 1, UNEVEN)
    scaled = expected.scaled(asked)
    found = expected.logits(scaled, means, counts)
    for row in range(5):
        for label in range(CHARACTERS):
            point = expected.points(means[label : label + 1], counts[:1])[0] @ np.linalg.inv(expected.matrix)
            apart = scaled[row] - expected.center - point
            nobody = scaled[row] - expected.center
            density = nobody @ np.linalg.solve(covariance, nobody) - apart @ np.linalg.solve(covariance, apart)
            assert found[row, label] == pytest.approx(density / 2 / 20, rel=1e-3, abs=1e-3)


def test_scaled_heads_have_one_length_and_the_direction_they_had(expected):
    x, _ = drawn(3, 1, UNEVEN)
    for some in (x, x[:2]):  # with and without BLAS
        scaled = expected.scaled(some)
        lengths = np.linalg.norm((scaled - expected.center) @ expected.matrix, axis=1)
        np.testing.assert_allclose(lengths, np.sqrt(D + expected.ratios.sum()), rtol=1e-6)
        before, after = some - expected.center, scaled - expected.center
        cosine = (before * after).sum(axis=1) / np.linalg.norm(before, axis=1) / np.linalg.norm(after, axis=1)
        np.testing.assert_allclose(cosine, 1, rtol=1e-6)
    np.testing.assert_allclose(expected.scaled(scaled), scaled, rtol=1e-6)
    near = expected.center + (x - expected.center) * 0.1  # as small heads are
    np.testing.assert_allclose(expected.scaled(near), expected.scaled(x), rtol=1e-6)
    assert np.isfinite(expected.scaled(expected.center[None])).all()


def test_degraded_heads_are_named_better_for_it(expected):
    asked, truth = drawn(4, 30, UNEVEN, length=0.4)
    without = ExpectedPoints.fit(*drawn(1, 6, EVEN))
    right = [
        (one.logits(one.scaled(asked), *means_and_counts(one)).argmax(axis=1) == truth).mean() for one in (without, expected)
    ]
    assert right[1] > right[0] + 0.1


def test_without_degraded_heads_nothing_is_scaled():
    without = ExpectedPoints.fit(*drawn(1, 6, EVEN))
    x, _ = drawn(3, 1, UNEVEN)
    assert not without.one_length and without.scaled(x) is x


def test_it_is_stored_in_16_bits(expected):
    again = ExpectedPoints.from_stored(expected.stored(), True)
    assert expected.stored().dtype == np.float16 and expected.stored().shape == (D + 2, D) and again.one_length
    x, _ = drawn(3, 1, UNEVEN)
    np.testing.assert_allclose(again.scaled(x), expected.scaled(x), rtol=5e-3, atol=5e-3)
