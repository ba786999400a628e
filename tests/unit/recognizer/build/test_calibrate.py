import numpy as np
import pytest

from crystal_eyes.recognizer.build.calibrate import calibrate
from crystal_eyes.recognizer.build.labeled_heads import KINDS
from tests.unit.recognizer.build.made_up import heads


def test_each_kind_is_calibrated_on_its_own_heads(known, unlikeness):
    some = heads(0, 10, 8, seed=4)
    strange = {"colour": np.array([3.0, 1.0]), "line": np.array([9.0, 8.0, 2.0])}
    found = calibrate(known, unlikeness, some, strange)
    for kind in KINDS:
        mine = known.evidence(some[some.line == (kind == "line")])
        assert found[kind].known.tolist() == sorted(unlikeness(mine).tolist())
        assert found[kind].strangers.tolist() == sorted(strange[kind].tolist())
        assert 0.02 <= found[kind].temperature <= 50
    assert found["colour"].temperature != found["line"].temperature


@pytest.mark.parametrize(("line", "missing", "there"), [(-1.0, "line", "colour"), (1.1, "colour", "line")])
def test_a_kind_without_heads_is_calibrated_on_the_other(known, unlikeness, line, missing, there):
    found = calibrate(known, unlikeness, heads(0, 10, 4, 4, line), {"colour": np.zeros(0), "line": np.zeros(0)})
    assert found[missing].known.tolist() == found[there].known.tolist() and len(found[there].known) == 40
    assert found[missing].temperature == found[there].temperature
