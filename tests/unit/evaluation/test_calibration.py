import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystal_eyes.evaluation.calibration import BINS, expected_calibration_error

confidence = st.one_of(st.floats(0, 1, width=32), st.sampled_from([0.0, 1.0, 0.5]))


@settings(deadline=None)
@given(st.lists(st.tuples(confidence, st.booleans()), min_size=1, max_size=40))
def test_the_calibration_error_is_what_loops_find(pairs):
    sure, right = np.array([p for p, _ in pairs], np.float32), np.array([r for _, r in pairs])
    error = 0.0
    bins = [min(int(np.float32(p) * 15), 14) for p in sure]  # 1.0 belongs to the last
    for number in range(15):
        mine = [i for i in range(len(sure)) if bins[i] == number]
        if mine:
            gap = abs(sum(float(sure[i]) for i in mine) / len(mine) - sum(map(bool, right[mine])) / len(mine))
            error += gap * len(mine) / len(sure)
    assert expected_calibration_error(sure, right) == pytest.approx(error, abs=1e-5)


def test_perfect_and_hopeless_calibration():
    assert expected_calibration_error(np.ones(4), np.ones(4, bool)) == 0
    assert expected_calibration_error(np.ones(4), np.zeros(4, bool)) == 1
    assert expected_calibration_error(np.full(4, 0.75), np.array([1, 1, 1, 0], bool)) == 0
    # over- and underconfidence in different bins don't make up for each other
    assert expected_calibration_error(np.array([0.9, 0.1]), np.array([False, True])) == pytest.approx(0.9)


def test_the_calibration_error_does_not_care_about_the_order():
    rng = np.random.default_rng(0)
    sure, right, order = rng.random(200), rng.random(200) < 0.5, rng.permutation(200)
    assert expected_calibration_error(sure[order], right[order]) == pytest.approx(expected_calibration_error(sure, right))
    assert BINS == 15  # what is reported can be compared
