import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from crystal_eyes.recognizer.build.roles import rows_by_role
from tests.unit.recognizer.build.made_up import artworks_of, table


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.booleans())
def test_what_calibrates_shares_no_artwork_with_what_reports_and_neither_was_trained_on(seed, shared):
    some = table(seed, shared=shared)
    found = rows_by_role(some)
    train, calibration, report = (some.iloc[found[name]] for name in ("train", "calibration", "report"))
    assert not artworks_of(calibration) & artworks_of(report)
    assert not (artworks_of(calibration) | artworks_of(report)) & artworks_of(train)
    assert (train["classifier_split"] == "train").all()
    for part in (calibration, report):
        assert (part["classifier_split"] == "test").all() and set(part["character"]) <= set(train["character"])
    tested = some[(some["classifier_split"] == "test") & some["character"].isin(train["character"])]
    assert sorted([*calibration["file"], *report["file"]]) == sorted(tested["file"])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.booleans())
def test_strangers_are_every_head_of_characters_that_no_encoder_learned_from(seed, shared):
    some = table(seed, shared=shared)
    found = rows_by_role(some)
    learned = set(some["character"][some["encoder_split"] == "train"])
    for part, split in (("strangers_choose", "validation"), ("strangers_report", "test")):
        names = set(some["character"][some["encoder_split"] == split])
        assert set(some["character"].iloc[found[part]]) == names and not names & learned
        assert sorted(found[part]) == np.flatnonzero(some["character"].isin(names)).tolist()
    assert not set(found["strangers_choose"]) & set(found["strangers_report"])


def test_the_halves_are_about_equal_and_do_not_depend_on_the_rows_order():
    some = table(0, characters=40)
    found = rows_by_role(some)
    assert 0.35 < len(found["calibration"]) / (len(found["calibration"]) + len(found["report"])) < 0.65
    shuffled = some.sample(frac=1, random_state=1)
    again = rows_by_role(shuffled)
    for name, rows in found.items():
        assert set(shuffled["file"].iloc[again[name]]) == set(some["file"].iloc[rows])
