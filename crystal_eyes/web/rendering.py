"""The page and its answers as HTML. Jinja escapes every value."""

import base64
from dataclasses import replace
from itertools import islice
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from crystal_eyes.collection import Place
from crystal_eyes.collection.searching import percent as whole_percent
from crystal_eyes.recognizer import Recognizer
from crystal_eyes.recognizer.characters import search
from crystal_eyes.web.answers import Answer
from crystal_eyes.web.finding import Found
from crystal_eyes.web.settings import Settings

MOST_STORED = 10_000  # characters of a gallery of many that a page lists
FOLDER = Path(__file__).parent
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
    name = settings.collection.resolve().name.encode("utf-8", "replace").decode()
    return _TEMPLATES.get_template("collection.html").render(heads=heads, settings=settings, examples=[], name=name)


def found(answer: Found) -> str:
    """What a collection holds of one picture's characters: a fragment of the page."""
    return _TEMPLATES.get_template("found.html").render(answer=answer)


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
_TEMPLATES.filters |= {"printable": printable, "file_name": file_name}
