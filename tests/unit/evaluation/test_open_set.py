import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystal_eyes.evaluation.open_set import open_set

score = st.one_of(st.integers(-3, 3).map(float), st.floats(-3, 3, width=16))  # with many ties
known = st.lists(st.tuples(score, st.booleans()), min_size=1, max_size=25)
strangers = st.lists(score, min_size=1, max_size=25)


def naive(known, right, strangers) -> dict[str, float]:
    wins = [(k < s) + 0.5 * (k == s) for k in known for s in strangers]
    limits = sorted({*known, *strangers})  # heads of at most so much unlikeness are kept
    fpr = next(
        sum(s <= limit for s in strangers) / len(strangers)
        for limit in limits
        if sum(k <= limit for k in known) / len(known) >= 0.95
    )
    area, x, y = 0.0, 0.0, 0.0
    for limit in limits:
        kept = sum(s <= limit for s in strangers) / len(strangers)
        correct = sum(k <= limit and bool(r) for k, r in zip(known, right)) / len(known)
        area, x, y = area + (kept - x) * (correct + y) / 2, kept, correct
    return {"auroc": sum(wins) / len(wins), "fpr_95": fpr, "oscr": area}


@settings(deadline=None)
@given(known, strangers)
def test_the_measures_are_what_loops_find(pairs, strange):
    scores, right = [k for k, _ in pairs], [r for _, r in pairs]
    found = open_set(np.array(scores), np.array(right), np.array(strange))
    assert found == pytest.approx(naive(scores, right, strange), abs=1e-6)


def test_perfect_hopeless_and_blind_scores():
    right = np.ones(4, bool)
    low, high, flat = np.arange(4.0), np.arange(4.0) + 10, np.zeros(4)
    assert open_set(low, right, high) == {"auroc": 1, "fpr_95": 0, "oscr": 1}
    assert open_set(high, right, low) == {"auroc": 0, "fpr_95": 1, "oscr": 0}
    assert open_set(flat, right, flat) == {"auroc": 0.5, "fpr_95": 1, "oscr": 0.5}
    assert open_set(low, right & (low > 1), high)["oscr"] == 0.5  # half of them are rightly named


@settings(deadline=None)
@given(known, strangers)
def test_naming_can_only_take_from_telling_apart(pairs, strange):
    scores, right = np.array([k for k, _ in pairs]), np.array([r for _, r in pairs])
    found, all_right = open_set(scores, right, np.array(strange)), open_set(scores, right | True, np.array(strange))
    assert found["auroc"] == all_right["auroc"] and found["fpr_95"] == all_right["fpr_95"]
    assert found["oscr"] <= all_right["oscr"] + 1e-9
    assert all_right["oscr"] == pytest.approx(all_right["auroc"], abs=1e-6)


@settings(deadline=None)
@given(known, strangers)
def test_only_the_order_of_the_scores_counts(pairs, strange):
    scores, right = np.array([k for k, _ in pairs]), np.array([r for _, r in pairs])
    found = open_set(scores, right, np.array(strange))
    moved = open_set(4 * scores + 7, right, 4 * np.array(strange) + 7)
    assert moved == pytest.approx(found, abs=1e-9)
    back = np.arange(len(scores))[::-1]
    assert open_set(scores[back], right[back], np.array(strange)[::-1]) == pytest.approx(found, abs=1e-9)
