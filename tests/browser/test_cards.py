"""The HTML of answers, without a server."""

import io
import re

import pytest
from PIL import Image

from crystal_eyes.images import PictureError
from crystal_eyes.recognizer import Candidate, Head, Reference
from crystal_eyes.web.answers import Answer, answer
from crystal_eyes.web.cards import head_card, page_of, picture_card

HOSTILE = '<img src=x onerror="document.title=1">'


def make_head(name: str = "Rin", p_value: float = 0.5, share: float = 0.01, probability: float = 0.7, box=(10, 20, 30, 60)):
    candidates = (Candidate(name, "A series", probability), Candidate("Len", "", 0.004))
    return Head(box, 0.9, False, True, candidates, (Reference(name, "A series", 0.83, b"webp"),), 0.0, p_value, share)


def make_answer(found: int, *heads: Head) -> Answer:
    return Answer("a.png", "", (100, 200), b"jpeg", heads, (b"crop",) * len(heads), found)


@pytest.mark.parametrize(
    ("p_value", "share", "kind"), [(0.5, 0.01, "known"), (0.5, 0.5, "unsure"), (0.01, 0.5, "unknown")], ids=str
)
def test_a_head_shows_its_verdict_its_candidates_and_the_nearest_heads(p_value, share, kind):
    head = make_head(p_value=p_value, share=share)
    card = head_card(3, head, b"crop")
    assert f"ce-{kind}" in card and head.sentence() in card
    assert re.findall(r">([^<>]* %)<", card) == ["70 %", "&lt; 1 %"]
    assert "width:70.0%" in card and "83% alike" in card and "line art" in card
    assert card.count("<figure") == 2


def test_text_of_a_bundle_or_a_file_is_never_markup():
    shown = picture_card(Answer(HOSTILE, "", (9, 9), b"", (make_head(HOSTILE),), (b"",), 1))
    assert HOSTILE not in shown and shown.count("&lt;img src=x") >= 4
    assert HOSTILE not in page_of([Answer(HOSTILE, f"No: {HOSTILE}.")])


def test_boxes_lie_where_the_heads_are_whatever_the_size_of_the_picture():
    assert "left:10.00%;top:10.00%;width:20.00%;height:20.00%" in picture_card(make_answer(1, make_head()))


@pytest.mark.parametrize(
    ("found", "shown", "says"),
    [(0, 0, "No head was found"), (1, 1, ">1 head<"), (2, 2, ">2 heads<"), (500, 2, "500 heads found, the 2 surest are shown")],
)
def test_it_is_said_how_many_heads_there_are(found, shown, says):
    assert says in picture_card(make_answer(found, *[make_head()] * shown))


def test_pictures_that_were_too_many_are_counted():
    assert "7 more were not looked at" in page_of([make_answer(0)], left_over=7)


def test_a_fault_of_ours_is_a_sentence_and_is_logged(recognizer, caplog):
    class Broken:
        find = None

    png = io.BytesIO()
    Image.new("RGB", (64, 64)).save(png, "PNG")
    assert "Something went wrong" in answer(Broken(), "a.png", png.getvalue, 9).error
    assert "TypeError" in caplog.text


def test_a_picture_that_can_not_be_read_is_a_sentence(recognizer):
    def gone() -> bytes:
        raise PictureError("it waited too long")

    assert answer(recognizer, "a.png", gone, 9).as_dict() == {
        "picture": "a.png",
        "error": "This picture can't be used: it waited too long.",
    }
