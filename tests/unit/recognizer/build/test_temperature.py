import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystal_eyes.evaluation.calibration import expected_calibration_error
from crystal_eyes.recognizer.build.temperature import fit_temperature
from crystal_eyes.recognizer.calibration import Calibration


def drawn(temperature: float, seed: int = 0, count: int = 4000, classes: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Logits and classes that were drawn from their softmax at a temperature."""
    rng = np.random.default_rng(seed)
    logits = (3 * rng.normal(size=(count, classes))).astype(np.float32)
    chances = Calibration(temperature).probabilities(logits).astype(float)
    return logits, (rng.random((count, 1)) > chances.cumsum(axis=1)).sum(axis=1).clip(max=classes - 1)


def cross_entropy(logits: np.ndarray, truth: np.ndarray, temperature: float) -> float:
    """Cross-entropy between the first answer's probability and whether it is right."""
    total = 0.0
    for row, label in zip(logits.astype(float) / temperature, truth):
        sure = 1 / sum(math.exp(value - max(row)) for value in row)
        total -= math.log(sure if row[label] == max(row) else max(1 - sure, 1e-9))
    return total / len(truth)


@pytest.mark.parametrize("temperature", [0.2, 1.0, 3.7, 12.0])
def test_the_temperature_that_classes_were_drawn_at_is_found_again(temperature):
    assert fit_temperature(*drawn(temperature, count=30_000)) == pytest.approx(temperature, rel=0.15)


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 1000), st.sampled_from([0.3, 1.0, 4.0]), st.sampled_from([12, 60]))
def test_no_temperature_on_a_fine_grid_is_better(seed, temperature, count):
    logits, truth = drawn(temperature, seed, count)
    found = fit_temperature(logits, truth)
    best = min(cross_entropy(logits, truth, one) for one in np.geomspace(0.03, 45, 120))
    assert 0.02 <= found <= 50 and cross_entropy(logits, truth, found) <= best + 1e-3


@pytest.mark.parametrize("factor", [0.25, 4.0])
def test_scaling_the_logits_scales_the_temperature(factor):
    logits, truth = drawn(1.0)
    assert fit_temperature(factor * logits, truth) == pytest.approx(factor * fit_temperature(logits, truth), rel=1e-2)


def test_answers_that_are_all_right_or_all_wrong_have_a_finite_temperature():
    logits = np.eye(4, dtype=np.float32) * 5
    assert 0.02 <= fit_temperature(logits, np.arange(4)) < 0.3  # no reason for doubt
    assert 45 < fit_temperature(logits, (np.arange(4) + 1) % 4) <= 50  # none for trust


def test_a_single_head_is_enough_to_fit():
    assert 0.02 <= fit_temperature(np.array([[2.0, 1.0]], np.float32), np.array([0])) <= 50


def test_temperature_scaling_lowers_the_calibration_error():
    logits, truth = drawn(3.0)
    fresh, other = drawn(3.0, seed=1)
    errors = []
    for temperature in (1.0, fit_temperature(logits, truth)):
        chances = Calibration(temperature).probabilities(fresh)
        errors.append(expected_calibration_error(chances.max(axis=1), chances.argmax(axis=1) == other))
    assert errors[1] < 0.04 < 0.15 < errors[0]
