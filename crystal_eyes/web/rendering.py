"""The page and its answers as HTML. Jinja escapes every value."""

import base64
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from crystal_eyes.recognizer import Recognizer
from crystal_eyes.recognizer.characters import search
from crystal_eyes.web.answers import Answer
from crystal_eyes.web.settings import Settings

FOLDER = Path(__file__).parent
EXAMPLES = sorted((FOLDER / "examples").glob("*.webp"))


def page(recognizer: Recognizer, settings: Settings) -> str:
    """The whole page, before any picture is given."""
    names = recognizer.naming.characters
    return _TEMPLATES.get_template("page.html").render(
        characters=len(names),
        series=len({series for _, series in names if series}),
        # the number in front of the title only orders the files
        examples=[(f"examples/{quote(path.name)}", path.stem.split(maxsplit=1)[1]) for path in EXAMPLES],
        settings=settings,
    )


def characters(recognizer: Recognizer) -> str:
    """The page that lists whom a recognizer knows, by series."""
    return _TEMPLATES.get_template("characters.html").render(known=search(recognizer.naming.known))


def card(answer: Answer) -> str:
    """The answer to one picture: a fragment of the page."""
    return _TEMPLATES.get_template("picture.html").render(answer=answer)


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
_TEMPLATES.filters |= {"percent": percent, "data_uri": data_uri}
