import json

import pytest

from crystal_eyes.recognizer.answers import Candidate, Head, LikelySeries, Reference
from crystal_eyes.recognizer.calibration import KNOWN_LEVEL, UNKNOWN_LEVEL


def head(**changes) -> Head:
    candidates = (Candidate("Mika", "Tower", 0.7), Candidate("セナ", "", 0.2))
    nearest = (Reference("Rumi", "", 0.9, b"RIFF one"), Reference("Mika", "Tower", 0.8, b"RIFF two"))
    values = {
        "box": (1.0, 2.0, 3.0, 4.0), "confidence": 0.9, "whole_picture": False, "monochrome": False, "candidates": candidates,
        "nearest": nearest, "unlikeness": 0.5, "p_value": 0.5, "stranger_share": 0.01,
    }  # fmt: skip
    return Head(**{**values, **changes})


@pytest.mark.parametrize(
    ("p_value", "stranger_share", "verdict"),
    [
        (0.5, 0.01, "known"),
        (UNKNOWN_LEVEL + 1e-9, 0.01, "known"),
        (0.5, KNOWN_LEVEL + 1e-9, "unsure"),
        (0.5, 1.0, "unsure"),
        (UNKNOWN_LEVEL, 1.0, "unknown"),
        (0.01, 0.01, "unknown"),
        (1.0, KNOWN_LEVEL, "known"),
    ],
)
def test_rare_among_the_known_is_unknown_and_rare_among_strangers_is_known(p_value, stranger_share, verdict):
    assert head(p_value=p_value, stranger_share=stranger_share).verdict == verdict


def test_the_sentence_for_an_unknown_head_has_the_nearest_character_and_the_p_value():
    text = head(p_value=0.031, nearest=(Reference("Rumi", "Isle", 0.9, b""),)).sentence()
    assert "Unlike everything in this catalogue" in text and "3 in 100" in text and "Rumi (Isle)" in text
    assert "Mika" not in text


def test_the_sentence_for_a_known_head_has_the_first_candidate_and_the_stranger_share():
    text = head(stranger_share=0.02, p_value=0.4).sentence()
    assert "Close to Mika (Tower)" in text and "2 in 100" in text and "Rumi" not in text


def test_the_sentence_for_an_unsure_head_has_the_first_candidate_and_says_it_may_be_another():
    text = head(stranger_share=0.37, p_value=0.4).sentence()
    assert (
        text.startswith("Not certain") and "Mika (Tower)" in text and "outside this catalogue" in text and "37 in 100" in text
    )


def test_a_character_without_series_is_named_without_brackets():
    text = head(candidates=(Candidate("セナ", "", 0.9),)).sentence()
    assert "Close to セナ:" in text and "()" not in text


def test_json_has_the_same_keys_whatever_the_verdict():
    known, unknown = (head(p_value=p, series=LikelySeries("Tower", 0.75)).as_dict() for p in (0.5, 0.01))
    assert known.keys() == unknown.keys() and known["series"] == {"name": "Tower", "probability": 0.75}
    assert [one["probability"] for one in unknown["candidates"]] == [0.7, 0.2]
    assert head().as_dict()["series"] is None


@pytest.mark.parametrize(
    ("share", "words"), [(0.0001, "fewer than 1 in"), (0.0099, "fewer than 1 in"), (0.01, "1 in"), (0.049, "5 in")]
)
def test_shares_below_one_in_a_hundred_are_not_shown_as_zero(share, words):
    for text in (head(p_value=share).sentence(), head(stranger_share=share).sentence()):
        assert f" {words} 100 " in text and " 0 in 100" not in text


@pytest.mark.parametrize("p_value, stranger_share", [(0.01, 1.0), (0.5, 0.01), (0.5, 0.5)])
def test_only_line_art_is_called_less_reliable_and_no_sentence_makes_a_legal_claim(p_value, stranger_share):
    colored, line = (head(p_value=p_value, stranger_share=stranger_share, monochrome=m).sentence() for m in (False, True))
    assert "Line art" not in colored and line.startswith(colored) and "Line art" in line
    assert not any(word in line.lower() for word in ("original", "copyright", "infring", "legal", "stolen"))
    assert "\n" not in line


def test_as_dict_is_json_that_holds_everything_but_the_thumbnails():
    one = head()
    fields = one.as_dict()
    again = json.loads(json.dumps(fields))
    assert again["verdict"] == one.verdict == "known" and again["sentence"] == one.sentence()
    assert again["candidates"][1] == {"character": "セナ", "series": "", "probability": 0.2, "original_name": ""}
    assert again["nearest"] == [
        {"character": "Rumi", "series": "", "similarity": 0.9, "original_name": ""},
        {"character": "Mika", "series": "Tower", "similarity": 0.8, "original_name": ""},
    ]
    kept = {"confidence": 0.9, "whole_picture": False, "monochrome": False, "unlikeness": 0.5, "p_value": 0.5}
    assert {name: again[name] for name in kept} == kept and again["stranger_share"] == 0.01
    assert again["box"] == [1, 2, 3, 4] and one.nearest[0].thumbnail == b"RIFF one"  # the head keeps its own
