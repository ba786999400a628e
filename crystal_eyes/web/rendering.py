"""The page and its answers as HTML. Jinja escapes every value."""

import base64
import zlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from crystal_eyes.collection import Place
from crystal_eyes.collection.groups import SURE, Group
from crystal_eyes.collection.searching import percent as whole_percent
from crystal_eyes.recognizer import Recognizer
from crystal_eyes.recognizer.characters import search
from crystal_eyes.web.answers import Answer
from crystal_eyes.web.finding import Found
from crystal_eyes.web.settings import Settings

MOST_STORED = 10_000  # characters of a gallery of many that a page lists
FOLDER = Path(__file__).parent
MOST_HEADS = 11, 400  # of a group: among others, and alone on a page
EXAMPLES = sorted((FOLDER / "examples").glob("*.webp"))


def page(recognizer: Recognizer, settings: Settings) -> str:
    """The whole page, before any picture is given."""
    names, stored = recognizer.naming.characters, recognizer.naming.stored
    return _TEMPLATES.get_template("page.html").render(
        characters=len(names) + (len(stored) if stored else 0),
        series=len({series for _, series in names if series}),
        # the number in front of the title only orders the files
        examples=[(f"examples/{quote(path.name)}", path.stem.split(maxsplit=1)[1]) for path in EXAMPLES],
        settings=settings,
    )


def characters(recognizer: Recognizer) -> str:
    """The page that lists whom a recognizer knows, by series."""
    stored = recognizer.naming.stored
    more = list(islice(stored.known(), MOST_STORED)) if stored else []
    further = len(stored) - len(more) if stored else 0
    return _TEMPLATES.get_template("characters.html").render(known=search([*recognizer.naming.known, *more]), further=further)


def card(answer: Answer) -> str:
    """The answer to one picture: a fragment of the page."""
    return _TEMPLATES.get_template("picture.html").render(answer=answer)


def collection(heads: int, settings: Settings) -> str:
    """The page that searches in a collection with so many heads."""
    assert settings.collection
    name = collection_name(settings.collection)
    return _TEMPLATES.get_template("collection.html").render(heads=heads, settings=settings, examples=[], name=name)


def found(answer: Found) -> str:
    """What a collection holds of one picture's characters: a fragment of the page."""
    return _TEMPLATES.get_template("found.html").render(answer=answer)


def groups(folder: Path, groups: Sequence[Group], **values: Any) -> str:
    """The page on which groups are named. values: page, pages, count, heads, outliers, whole, can_change, remark."""
    template = _TEMPLATES.get_template("groups.html")
    return template.render(name=collection_name(folder), groups=groups, changed=0, most=MOST_HEADS, **values)


def groups_wait(folder: Path) -> str:
    """The same page while the groups are being found; it asks again by itself."""
    return _TEMPLATES.get_template("groups.html").render(name=collection_name(folder), groups=None)


def group_cards(groups: Sequence[Group], changed: int, said: Sequence[str], whole: bool) -> str:
    """Groups, after one of them was changed: a fragment of the page.

    said: what was done, remarks, and the result if there are more than one; whole: with all heads of each group.
    """
    lines = [f"{line[:1].upper()}{line[1:]}".encode("utf-8", "replace").decode() for line in said]
    template = _TEMPLATES.get_template("group_cards.html")
    return template.render(groups=groups, changed=changed, said=lines, whole=whole, can_change=True, most=MOST_HEADS)


def collection_name(folder: Path) -> str:
    return folder.resolve().name.encode("utf-8", "replace").decode()


def head_address(group: Group, row: int) -> str:
    """Of a head's picture: another one if the head is another one, so that browsers may keep the picture."""
    shown = zlib.crc32(f"{group.places[row]} {group.boxes[row].tolist()}".encode("utf-8", "surrogateescape"))
    return f"head/{group.heads[row]}?{shown:08x}"


def printable(place: Place) -> str:
    """A file name's undecodable bytes as question marks, which UTF-8 can hold."""
    return str(place).encode("utf-8", "replace").decode()


def file_name(place: Place) -> str:
    """The last part of a picture's place."""
    name = place.member.rsplit("/", 1)[-1] if place.member else str(replace(place, file=Path(place.file.name)))
    return name.encode("utf-8", "replace").decode()


def percent(share: float) -> str:
    return "< 1%" if share < 0.01 else f"{share:.0%}"


def data_uri(image: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"


_TEMPLATES = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {"percent": percent, "whole_percent": whole_percent, "data_uri": data_uri}
_TEMPLATES.filters |= {"printable": printable, "file_name": file_name, "head_address": head_address}
_TEMPLATES.globals["SURE"] = SURE
