import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystal_eyes.recognizer.calibration import Calibration
from crystal_eyes.recognizer.unlikeness import BLENDS, SCORES, Evidence, Unlikeness

EVERY = pytest.mark.parametrize("names", BLENDS, ids="+".join)


def evidence(count: int = 40, seed: int = 0, sure: float = 3.0) -> Evidence:
    rng = np.random.default_rng(seed)
    shapes = ((count, 7), (count, 13), (count, 11))
    logits, to_means, to_gallery = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
    return Evidence(sure * logits, np.tanh(to_means), np.tanh(to_gallery))


def naive(name: str, some: Evidence, row: int) -> float:
    logits = some.logits[row].tolist()
    total = sum(math.exp(value) for value in logits)
    nearest, *others = sorted(some.to_means[row].tolist(), reverse=True)
    others = others[:10]
    return {
        "probability": -math.log(math.exp(max(logits)) / total),
        "max_logit": -max(logits),
        "energy": -math.log(total),
        "mean": 1 - float(max(some.to_means[row])),
        "neighbour": 1 - float(max(some.to_gallery[row])),
        "ahead": sum(others) / len(others) - nearest,
        "cohort": sum(some.to_gallery[row].tolist()) / 11 - nearest,  # there are fewer than 50
        "crowd": 1 - sum(sorted(some.to_gallery[row].tolist())[-5:]) / 5,
    }[name]


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(sorted(SCORES)), st.integers(0, 1000), st.sampled_from([0.1, 3.0, 20.0]))
def test_scores_are_what_loops_find(name, seed, sure):
    some = evidence(10, seed, sure)
    assert SCORES[name](some).tolist() == pytest.approx([naive(name, some, row) for row in range(10)], abs=1e-4)


def test_logits_as_large_as_a_long_training_makes_them_overflow_nothing():
    some = Evidence(np.array([[500.0, -500.0], [500.0, 500.0]], np.float32), np.zeros((2, 2)), np.zeros((2, 1)))
    assert SCORES["energy"](some).tolist() == pytest.approx([-500, -500 - math.log(2)], abs=1e-3)
    assert SCORES["probability"](some).tolist() == pytest.approx([0, math.log(2)], abs=1e-3)


@pytest.mark.parametrize("name", SCORES)
def test_a_head_without_evidence_is_more_unlike(name):
    sure = Evidence(np.array([[9.0, 0, 0]], np.float32), np.array([[0.9, 0, 0]]), np.array([[0.95, 0.1]]))
    stranger = Evidence(np.array([[1.0, 0.8, 0.9]], np.float32), np.array([[0.3, 0.2, 0.2]]), np.array([[0.3, 0.1]]))
    assert SCORES[name](stranger)[0] > SCORES[name](sure)[0]


def test_a_head_near_to_many_characters_is_more_unlike_than_one_as_near_to_one_alone():
    def told(cosines):
        return Evidence(np.zeros((1, len(cosines))), np.array([cosines]), np.zeros((1, 1)))

    assert SCORES["ahead"](told([0.6, 0.55, 0.5]))[0] > SCORES["ahead"](told([0.6, 0.1, 0.1]))[0]
    assert SCORES["ahead"](told([0.6]))[0] == -0.6  # a catalogue of one character


def test_a_cohort_is_a_fixed_selection_of_a_large_gallery():
    gallery = np.random.default_rng(0).uniform(-1, 1, (3, 10_001)).astype(np.float32)
    some = Evidence(np.zeros((3, 2)), np.zeros((3, 2)), gallery)
    selected = gallery[:, [int(i * 10_000 / 2499) for i in range(2500)]]
    expected = [sum(sorted(row.tolist())[-50:]) / 50 for row in selected]
    assert SCORES["cohort"](some).tolist() == pytest.approx(expected, abs=1e-4)


def test_weights_scale_the_standardized_scores_and_survive_storage():
    known, asked = evidence(seed=1), evidence(seed=2)
    energy, mean = (Unlikeness.fit((name,), known)(asked) for name in ("energy", "mean"))
    both = Unlikeness.fit(("energy", "mean"), known, (0.5, 2.0))
    assert both(asked).tolist() == pytest.approx((0.5 * energy + 2 * mean).tolist(), abs=1e-4)
    assert Unlikeness.from_dict(both.as_dict()) == both


def test_scores_of_a_bundle_without_weights_count_equally():
    stored = Unlikeness.fit(("energy", "mean"), evidence(seed=1)).as_dict()
    del stored["weights"]
    assert Unlikeness.from_dict(stored).weights == (1.0, 1.0)


@EVERY
def test_scores_are_standardized_on_known_heads_and_added(names):
    known, asked = evidence(seed=1), evidence(seed=2)
    fitted = Unlikeness.fit(names, known)
    expected = np.zeros(40)
    for name in names:
        base = np.array([naive(name, known, row) for row in range(40)])
        mine = np.array([naive(name, asked, row) for row in range(40)])
        expected += (mine - base.mean()) / base.std()
    assert fitted(asked).tolist() == pytest.approx(expected.tolist(), abs=1e-3)
    assert fitted(known).mean() == pytest.approx(0, abs=1e-4)
    if len(names) == 1:
        assert fitted(known).std() == pytest.approx(1, abs=1e-4)


@EVERY
def test_a_round_trip_through_json_changes_no_score_and_no_p_value(names):
    fitted = Unlikeness.fit(names, evidence(seed=1))
    again = Unlikeness.from_dict(json.loads(json.dumps(fitted.as_dict())))
    assert again == fitted
    base = Calibration(1.0, np.sort(fitted(evidence(seed=1))), np.sort(fitted(evidence(seed=3))))
    stored = Calibration.from_dict(json.loads(json.dumps(base.as_dict())))
    for asked in (evidence(seed=1), evidence(seed=2)):  # heads of the calibration itself are all ties
        assert stored.p_values(again(asked)).tolist() == base.p_values(fitted(asked)).tolist()
        assert stored.stranger_shares(again(asked)).tolist() == base.stranger_shares(fitted(asked)).tolist()


def test_known_heads_that_are_all_alike_still_give_a_finite_score():
    same = Evidence(np.ones((3, 2), np.float32), np.full((3, 2), 0.5, np.float32), np.full((3, 2), 0.25, np.float32))
    for names in BLENDS:
        fitted = Unlikeness.fit(names, same)
        assert np.isfinite(fitted(evidence())).all() and (fitted(same) == 0).all()


def test_a_head_scores_the_same_alone_and_among_others():
    fitted, many = Unlikeness.fit(("energy", "neighbour"), evidence(seed=1)), evidence(seed=2)
    alone = [fitted(Evidence(many.logits[[r]], many.to_means[[r]], many.to_gallery[[r]]))[0] for r in range(40)]
    assert fitted(many).tolist() == pytest.approx(alone, abs=2e-5)
