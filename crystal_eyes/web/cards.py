"""The answers as HTML. Whatever comes from a bundle or a person goes through `escape`."""

import base64
from html import escape

from crystal_eyes.recognizer import Candidate, Head, Reference
from crystal_eyes.web.answers import Answer

VERDICTS = {"known": "In the catalogue", "unsure": "Not certain", "unknown": "Not in the catalogue"}
NO_HEAD = "No head was found in this picture. Drawn heads are found best where they are large and in full view."


def page_of(answers: list[Answer], left_over: int = 0) -> str:
    """All answers. left_over: pictures that were not looked at since there were too many."""
    parts = [picture_card(answer) for answer in answers]
    if left_over:
        parts.append(_note(f"{left_over} more were not looked at: show fewer at once."))
    return f'<div class="ce-answers" aria-live="polite">{"".join(parts)}</div>'


def picture_card(answer: Answer) -> str:
    """One picture with its numbered heads, and a card for each of them."""
    title = f'<h2 class="ce-title"><bdi>{escape(answer.name)}</bdi> <small>{escape(_count(answer))}</small></h2>'
    if answer.error:
        return f'<section class="ce-picture ce-failed">{title}{_note(answer.error)}</section>'
    boxes = "".join(_box(number, head, answer.size) for number, head in enumerate(answer.heads, 1))
    # tiny pictures are shown somewhat larger, tall ones no taller than most of the window
    width = f"min(100%, {max(answer.size[0], 240)}px, {70 * answer.size[0] / answer.size[1]:.2f}vh)"
    frame = (
        f'<div class="ce-frame" style="max-width: {width}">'
        f'<img src="{_data(answer.picture, "jpeg")}" alt="Your picture {escape(answer.name)}">{boxes}</div>'
    )
    numbered = enumerate(zip(answer.heads, answer.crops), 1)
    heads = "".join(head_card(number, head, crop) for number, (head, crop) in numbered) or _note(NO_HEAD)
    sides = f'<div class="ce-sides"><div>{frame}</div><div class="ce-heads">{heads}</div></div>'
    return f'<section class="ce-picture">{title}{sides}</section>'


def head_card(number: int, head: Head, crop: bytes) -> str:
    """One head: the verdict, five candidates as bars, and the head beside the nearest ones of the catalogue."""
    sketch = '<span class="ce-sketch">line art or grey</span>' if head.monochrome else ""
    own = f'<img src="{_data(crop, "jpeg")}" alt="Head {number}"><figcaption>Head {number}</figcaption>'
    return (
        f'<article class="ce-head ce-{head.verdict}">'
        f'<header><b class="ce-number">{number}</b><span class="ce-verdict">{VERDICTS[head.verdict]}</span>{sketch}</header>'
        f'<p class="ce-sentence">{escape(head.sentence())}</p>'
        f'<ol class="ce-bars">{"".join(_bar(candidate) for candidate in head.candidates)}</ol>'
        f'<h3 class="ce-label">Nearest in the catalogue</h3>'
        f'<div class="ce-nearest"><figure class="ce-own">{own}</figure>{"".join(map(_reference, head.nearest))}</div></article>'
    )


def _count(answer: Answer) -> str:
    if answer.error:
        return ""
    shown = len(answer.heads)
    if answer.found > shown:
        return f"{answer.found} heads found, the {shown} surest are shown"
    return "no head found" if not shown else "1 head" if shown == 1 else f"{shown} heads"


def _box(number: int, head: Head, size: tuple[int, int]) -> str:
    left, top, right, bottom = (100 * value / size[axis % 2] for axis, value in enumerate(head.box))
    place = f"left:{left:.2f}%;top:{top:.2f}%;width:{right - left:.2f}%;height:{bottom - top:.2f}%"
    return f'<div class="ce-box ce-{head.verdict}" style="{place}"><b class="ce-number">{number}</b></div>'


def _bar(candidate: Candidate) -> str:
    percent = 100 * candidate.probability
    text = "&lt; 1 %" if percent < 1 else f"{percent:.0f} %"
    return (
        f'<li><span class="ce-name">{_who(candidate)}</span><span class="ce-percent">{text}</span>'
        f'<span class="ce-track"><span style="width:{max(percent, 0.5):.1f}%"></span></span></li>'
    )


def _reference(one: Reference) -> str:
    return (
        f'<figure><img src="{_data(one.thumbnail, "webp")}" alt="{escape(one.character)}">'
        f'<figcaption>{_who(one)}<span class="ce-similarity">{max(one.similarity, 0):.0%} alike</span></figcaption></figure>'
    )


def _who(one: Candidate | Reference) -> str:
    series = f" <small><bdi>{escape(one.series)}</bdi></small>" if one.series else ""
    return f"<bdi>{escape(one.character)}</bdi>{series}"


def _note(text: str) -> str:
    return f'<p class="ce-note">{escape(text)}</p>'


def _data(picture: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
