import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystal_eyes.recognizer.calibration import Calibration

score = st.integers(-4, 4).map(float)  # few values: many ties
scores = st.lists(score, max_size=12).map(np.array)


def calibration(known=(), strangers=(), temperature: float = 1.0) -> Calibration:
    return Calibration(temperature, np.sort(np.asarray(known, float)), np.sort(np.asarray(strangers, float)))


@settings(deadline=None)
@given(scores, scores, st.lists(score, min_size=1, max_size=6))
def test_p_values_and_stranger_shares_are_what_loops_count(known, strangers, asked):
    some = calibration(known, strangers)
    p = [(1 + sum(k >= u for k in known)) / (1 + len(known)) for u in asked]
    shares = [(1 + sum(s <= u for s in strangers)) / (1 + len(strangers)) for u in asked]
    assert some.p_values(np.array(asked)).tolist() == p
    assert some.stranger_shares(np.array(asked)).tolist() == shares


def test_without_any_calibration_head_nothing_is_rare():
    none = Calibration(1.0)
    far = np.array([-1e9, 0, 1e9])
    assert none.p_values(far).tolist() == none.stranger_shares(far).tolist() == [1, 1, 1]


@pytest.mark.parametrize("draw", ["continuous", "ties", "all equal"])
@pytest.mark.parametrize("count", [19, 37])
def test_of_exchangeable_heads_no_more_than_alpha_are_called_unknown(draw, count):
    """The guarantee, over many calibrations; the strangers' shares have it too."""
    trials = 4000
    called, strangers_called = dict.fromkeys((0.05, 0.1, 0.3), 0), dict.fromkeys((0.05, 0.1, 0.3), 0)
    for seed in range(trials):
        values = np.random.default_rng(seed).gamma(2, size=count + 1)
        values = {"continuous": values, "ties": values.round(), "all equal": 0 * values}[draw]
        some = calibration(values[1:], values[1:])
        p, share = some.p_values(values[:1])[0], some.stranger_shares(values[:1])[0]
        for alpha in called:
            called[alpha] += p <= alpha
            strangers_called[alpha] += share <= alpha
    for alpha in called:
        error = 4 * math.sqrt(alpha * (1 - alpha) / trials)
        for found in (called[alpha] / trials, strangers_called[alpha] / trials):
            assert found <= alpha + error
            if draw == "continuous":  # and it wastes no more than the steps of 1 / (count + 1)
                assert found >= alpha - 1 / (count + 1) - error


@settings(deadline=None)
@given(scores, scores, score, score)
def test_p_values_are_monotonic_in_unlikeness(known, strangers, a, b):
    some, both = calibration(known, strangers), np.sort([a, b])
    assert np.diff(some.p_values(both))[0] <= 0 <= np.diff(some.stranger_shares(both))[0]


logit = st.floats(-80, 80, width=32)
rows = st.integers(1, 6).flatmap(lambda n: st.lists(st.lists(logit, min_size=n, max_size=n), min_size=1, max_size=5))


@settings(deadline=None)
@given(rows, st.sampled_from([0.05, 0.7, 1.0, 30.0]))
def test_probabilities_are_the_softmax_at_the_temperature(rows, temperature):
    found = calibration(temperature=temperature).probabilities(np.array(rows, np.float32))
    for row, given_row in zip(rows, found):
        powers = [math.exp((value - max(row)) / temperature) for value in row]
        assert given_row.tolist() == pytest.approx([power / sum(powers) for power in powers], abs=1e-5)
    assert found.dtype == np.float32 and (found >= 0).all()
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-5)


@settings(deadline=None)
@given(rows, st.sampled_from([0.05, 1.0, 30.0]))
def test_no_temperature_changes_the_first_answer(rows, temperature):
    logits = np.array(rows, np.float32)
    found = calibration(temperature=temperature).probabilities(logits)
    order = np.argsort(logits, axis=1, kind="stable")
    assert (np.diff(np.take_along_axis(found, order, axis=1), axis=1) >= 0).all()


def test_a_higher_temperature_lowers_confidence_and_huge_logits_stay_finite():
    logits = np.array([[3.0, 1.0, 0.0]], np.float32)
    tops = [calibration(temperature=t).probabilities(logits).max() for t in (0.3, 1, 3, 40)]
    assert sorted(tops, reverse=True) == tops and tops[0] > 0.99 and tops[-1] < 0.4
    huge = calibration(temperature=0.02).probabilities(np.array([[3e4, -3e4], [-3e4, -3e4]], np.float32))
    assert huge.tolist() == [[1, 0], [0.5, 0.5]]


@settings(deadline=None)
@given(
    st.lists(st.floats(-50, 50).map(lambda x: round(x, 5)), max_size=8),
    st.lists(st.floats(-50, 50).map(lambda x: round(x, 5)), max_size=8),
)
def test_a_round_trip_through_json_changes_no_p_value(known, strangers):
    some = calibration(known, strangers, temperature=1.23456)
    again = Calibration.from_dict(json.loads(json.dumps(some.as_dict())))
    asked = np.array([*known, *strangers, 0.0])
    assert again.temperature == some.temperature
    assert again.p_values(asked).tolist() == some.p_values(asked).tolist()
    assert again.stranger_shares(asked).tolist() == some.stranger_shares(asked).tolist()


def test_scores_written_in_another_order_are_read_in_the_right_one():
    values = {"temperature": 2, "known": [3, 1, 2], "strangers": [9, 5, 7]}
    assert Calibration.from_dict(values).p_values(np.array([2.0])).tolist() == [0.75]
    assert Calibration.from_dict(values).stranger_shares(np.array([5.0])).tolist() == [0.5]
