"""The answers as HTML: the picture with numbered boxes, and a card a head. Every text from outside is escaped."""

import base64
import io
from collections.abc import Sequence
from html import escape

from PIL import Image, ImageDraw, ImageFont

from crystal_eyes.recognizer import Head, Reference
from crystal_eyes.recognizer.answers import who

SHOWN_SIDE = 900  # px of the picture shown
COLOURS = {"known": (30, 130, 60), "unsure": (190, 120, 0), "unknown": (95, 85, 190)}
TITLES = {"known": "Somebody it knows", "unsure": "Not certain", "unknown": "Unlike everybody it knows"}


def answer(name: str, picture: Image.Image, heads: Sequence[Head], found: int) -> str:
    """HTML of one picture's answer. picture: RGB; found: heads in it, of which some are not shown."""
    said = "No head was found in this picture." if not heads else "1 head" if found == 1 else f"{found} heads"
    if found > len(heads):
        said += f"; the {len(heads)} surest are shown"
    cards = "".join(_card(number, head) for number, head in enumerate(heads, 1))
    return (
        f'<section class="ce-picture"><h3>{escape(name)}: {said}</h3><div class="ce-columns">'
        f'<img class="ce-boxed" alt="the picture with numbered heads" src="{_data_uri(boxed(picture, heads), "JPEG")}">'
        f'<div class="ce-cards">{cards}</div></div></section>'
    )


def problem(name: str, sentence: str) -> str:
    """HTML of a picture that could not be answered."""
    return f'<section class="ce-picture ce-problem" role="alert"><h3>{escape(name)}</h3><p>{escape(sentence)}</p></section>'


def boxed(picture: Image.Image, heads: Sequence[Head]) -> Image.Image:
    """The picture, its longer side at most SHOWN_SIDE, with a numbered box a head."""
    small = picture.copy()
    small.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    scale, draw, font = small.width / picture.width, ImageDraw.Draw(small), ImageFont.load_default(16)
    for number, head in enumerate(heads, 1):
        box, colour = [value * scale for value in head.box], COLOURS[head.verdict]
        box[2:] = max(box[0], min(box[2], small.width - 1)), max(box[1], min(box[3], small.height - 1))
        draw.rectangle(box, outline=colour, width=3)
        width = draw.textlength(str(number), font) + 8
        draw.rectangle((box[0], box[1], box[0] + width, box[1] + 20), fill=colour)
        draw.text((box[0] + 4, box[1]), str(number), fill="white", font=font)
    return small


def _card(number: int, head: Head) -> str:
    bars = "".join(
        f'<li><span class="ce-name">{escape(one.character)}<small>{escape(one.series)}</small></span>'
        f'<span class="ce-bar"><i style="width:{100 * one.probability:.1f}%"></i></span>'
        f'<span class="ce-share">{one.probability:.0%}</span></li>'
        for one in head.candidates
    )
    near = "".join(_reference(one) for one in head.nearest)
    return (
        f'<article class="ce-card ce-{head.verdict}"><h4><b>{number}</b> {TITLES[head.verdict]}</h4>'
        f'<p class="ce-verdict">{escape(head.sentence())}</p><ol class="ce-bars">{bars}</ol>'
        f'<p class="ce-label">Nearest heads in the catalogue, by similarity</p><div class="ce-near">{near}</div></article>'
    )


def _reference(one: Reference) -> str:
    source = f"data:image/webp;base64,{base64.b64encode(one.thumbnail).decode()}"
    return (
        f'<figure title="{escape(who(one))}"><img alt="{escape(who(one))}" src="{source}">'
        f"<figcaption>{escape(one.character)}<small>{one.similarity:.2f}</small></figcaption></figure>"
    )


def _data_uri(picture: Image.Image, kind: str) -> str:
    out = io.BytesIO()
    picture.save(out, kind, quality=85)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(out.getvalue()).decode()}"
