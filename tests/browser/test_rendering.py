"""Answers and their HTML, without a server."""

import io
import re
from dataclasses import replace

import pytest
from PIL import Image

from crystal_eyes.recognizer import Candidate, Head, LikelySeries, Reference
from crystal_eyes.recognizer.finding import Search
from crystal_eyes.web.answers import Answer, answer
from crystal_eyes.web.rendering import card, characters, page
from tests.browser.conftest import SETTINGS
from tests.bundles import ORIGINAL

HOSTILE = '<img src=x onerror="document.title=1">'


def make_head(name: str = "Rin", p_value: float = 0.5, share: float = 0.01, probability: float = 0.7, box=(10, 20, 30, 60)):
    candidates = (Candidate(name, "A series", probability), Candidate("Len", "", 0.004))
    return Head(
        box,
        0.9,
        False,
        True,
        candidates,
        (Reference(name, "A series", 0.83, b"webp"),),
        0.0,
        p_value,
        share,
        LikelySeries("A series", 0.94),
    )


def make_answer(found: int, *heads: Head) -> Answer:
    return Answer("a.png", size=(100, 200), picture=b"jpeg", heads=heads, crops=(b"crop",) * len(heads), found=found)


@pytest.mark.parametrize(
    ("p_value", "share", "verdict"),
    [(0.5, 0.01, "In the catalogue"), (0.5, 0.5, "Not certain")],
)
def test_a_head_shows_its_verdict_its_candidates_and_the_nearest_heads(p_value, share, verdict):
    head = make_head(p_value=p_value, share=share)
    html = card(make_answer(1, head))
    assert f">{verdict}<" in html and head.sentence() in html
    assert re.findall(r'"percent">([^<>]*)<', html) == ["94%", "70%", "&lt; 1%"]
    assert "Most likely series: <b><bdi>A series</bdi></b>" in html
    assert '<rect width="70.0%"' in html and "similarity 0.83" in html and "line art" in html
    assert html.count("<figure") == 2 and "data:image/webp" in html


def test_an_unknown_head_shows_the_nearest_characters_and_no_percentage():
    head = make_head(p_value=0.01, share=0.5)
    html = card(make_answer(1, head))
    assert ">Not in the catalogue<" in html and head.sentence() in html and "similarity 0.83" in html
    shown = re.sub(r"<svg class=\"boxes\".*?</svg>\s*</g>\s*</svg>", "", html, flags=re.DOTALL)
    assert "%" not in re.sub(r"<[^>]*>", "", shown) and "Most likely series" not in html and "Len" not in html


def test_a_bundle_without_pictures_shows_names_in_their_place():
    bare = replace(make_head(), nearest=(Reference("Rin", "A series", 0.83, b"", "\u30ea\u30f3"),))
    html = card(make_answer(1, bare))
    assert "data:image/webp" not in html and html.count("<figure") == 2
    assert "<bdi>\u30ea\u30f3</bdi>" in html.split('class="nearest"')[1]


def test_the_characters_are_listed_by_series(recognizer):
    html = characters(recognizer)
    assert "8 characters" in html and html.count("<li>") == 8
    titles = re.findall(r"<h2 class=\"label\"><bdi>([^<]*)<", html)
    assert titles == ["Without a series", "Series 1", "Series 3", "Series 5", "Series 7"]
    assert f"<li><bdi>Character 1</bdi> <small><bdi>{ORIGINAL[1]}</bdi></small> <small>4 heads</small></li>" in html


def test_text_of_a_bundle_or_a_file_is_never_markup():
    html = card(Answer(HOSTILE, size=(9, 9), heads=(make_head(HOSTILE),), crops=(b"",), found=1))
    assert HOSTILE not in html and html.count("&lt;img src=x") >= 4
    assert HOSTILE not in card(Answer(HOSTILE, f"No: {HOSTILE}."))


def test_boxes_lie_where_the_heads_are_whatever_the_size_of_the_picture():
    assert 'x="10.00%" y="10.00%" width="20.00%" height="20.00%"' in card(make_answer(1, make_head()))


@pytest.mark.parametrize(
    ("found", "shown", "says"),
    [
        (0, 0, "No head was found"),
        (1, 1, ">1 head<"),
        (2, 2, ">2 heads<"),
        (500, 2, "500 heads found, the 2 most confident are shown"),
    ],
)
def test_the_number_of_heads_is_stated(found, shown, says):
    assert says in card(make_answer(found, *[make_head()] * shown))


def test_no_inline_script_or_style(recognizer):
    for html in (page(recognizer, SETTINGS), characters(recognizer), card(make_answer(1, make_head()))):
        assert re.findall(r"<[^>]* (?:style|on\w+)=|<style|<script(?! type=\"module\" src=\"static/)|javascript:", html) == []


def test_a_bug_becomes_a_sentence_and_is_logged(caplog):
    class Broken:
        find = None

    png = io.BytesIO()
    Image.new("RGB", (64, 64)).save(png, "PNG")
    broken = answer(Broken(), "a.png", png.getvalue(), 9, Search())
    assert "Something went wrong" in broken.error and broken.status == 500
    assert "TypeError" in caplog.text


def test_an_unreadable_picture_becomes_a_sentence(recognizer):
    assert answer(recognizer, "a.png", b"", 9, Search()).as_dict() == {
        "picture": "a.png",
        "error": "This picture can't be used: empty file.",
    }
