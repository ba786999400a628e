import numpy as np
import pytest

from crystal_eyes.evaluation.calibration import expected_calibration_error
from crystal_eyes.evaluation.open_set import open_set
from crystal_eyes.recognizer.build.calibrate import calibrate
from crystal_eyes.recognizer.build.labeled_heads import KINDS
from crystal_eyes.recognizer.build.measure import measure_known, measure_strangers
from crystal_eyes.recognizer.calibration import Calibration
from tests.unit.recognizer.build.made_up import heads


def test_the_report_is_what_loops_count(known, unlikeness):
    some, asked = heads(0, 10, 8, seed=4), heads(0, 10, 7, seed=5, spread=0.9)
    calibrations = calibrate(known, unlikeness, some, {"colour": np.zeros(0), "line": np.zeros(0)})
    found = measure_known(known, unlikeness, calibrations, asked)
    masks = {"colour": ~asked.line, "line": asked.line, "line_drawn": asked.line & ~asked.sketch}
    for name, mask in masks.items():
        logits, truth = known.classifier.logits(asked.embeddings[mask]), asked.characters[mask]
        ranked = [[f"c{label:02d}" for label in sorted(range(10), key=lambda c: -row[c])] for row in logits]
        for k in (1, 3, 5):
            assert found[f"{name}_top_{k}"] == pytest.approx(np.mean([t in r[:k] for t, r in zip(truth, ranked)]))
        right = np.array([t == r[0] for t, r in zip(truth, ranked)])
        mine = calibrations["colour" if name == "colour" else "line"]
        for when, temperature in (("before", 1.0), ("after", mine.temperature)):
            sure = Calibration(temperature).probabilities(logits).max(axis=1)
            assert found[f"{name}_ece_{when}"] == pytest.approx(expected_calibration_error(sure, right), abs=1e-6)
        assert found[f"{name}_mean_confidence"] == pytest.approx(sure.mean(), abs=1e-6)
        scores = unlikeness(known.evidence(asked[mask]))
        p = [(1 + sum(k >= u for k in mine.known)) / (1 + len(mine.known)) for u in scores]
        for level in (5, 10):
            assert found[f"{name}_called_unknown_at_{level}"] == pytest.approx(np.mean([one <= level / 100 for one in p]))
        assert found[f"{name}_heads"] == mask.sum()
    assert found["colour_top_1"] < found["colour_top_5"] and found["line_drawn_heads"] < found["line_heads"]


def test_a_report_of_colored_heads_has_no_figures_for_other_kinds(known, unlikeness):
    calibrations = {kind: Calibration(1.0) for kind in KINDS}
    found = measure_known(known, unlikeness, calibrations, heads(0, 10, 3, 5, line=-1))
    assert found["colour_heads"] == 30 and not any(name.startswith("line") for name in found)


def test_a_p_value_of_just_the_level_counts_as_called_unknown(known, unlikeness):
    calibrations = {kind: Calibration(1.0, np.full(19, -1e6)) for kind in KINDS}  # every head gets 1 / 20
    found = measure_known(known, unlikeness, calibrations, heads(0, 10, 3, 5))
    assert found["colour_called_unknown_at_5"] == found["line_called_unknown_at_5"] == 1


def test_strangers_are_reported_by_kind(known, unlikeness):
    familiar, strange = heads(0, 10, 6, seed=6), heads(20, 26, 6, seed=7)
    found = measure_strangers(known, unlikeness, familiar, strange)
    for kind in KINDS:
        a, b = familiar.of_kind(kind), strange.of_kind(kind)
        evidence = known.evidence(a)
        right = np.array([f"c{row.argmax():02d}" for row in evidence.logits]) == a.characters
        expected = open_set(unlikeness(evidence), right, unlikeness(known.evidence(b)))
        assert {name: found[f"{kind}_{name}"] for name in expected} == pytest.approx(expected)
        assert found[f"{kind}_strangers"] == len(b.line)
    colored = measure_strangers(known, unlikeness, familiar, heads(20, 26, 6, 7, line=-1))
    assert {name.split("_")[0] for name in colored} == {"colour"}
