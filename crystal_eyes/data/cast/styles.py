"""The styles a cast is drawn in, and who a character is: what stays from picture to picture, what is mood."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import dicebear

# Neighbours in this ring are near colours: look-alikes are taken from there.
HAIR = tuple(
    "0e0e14 2a2233 3b2418 562306 6a4e35 796a45 b9a05f e5d7a3 efe9d8 c9c6c6 9a9aa6 85c2c6 5f9fc4 34629e 28327a 592454"
    " 8a5fb0 b79ad6 dba3be e0708f ab2a18 cb6820 ac6511 3a7d4a".split()
)
SKIN = ("f8dfca", "f2d3b1", "ecad80", "c58a5c", "8f5527")
EYES = ("14141c", "2458b8", "2f8a52", "8b4a1f", "b02a40", "7a3fa0", "b98a12", "3a98a8")


def _numbered(start: str, *numbers: int) -> tuple[str, ...]:
    return tuple(f"{start}{number:02d}" for number in numbers)


@dataclass(frozen=True)
class Style:
    """What of a dicebear style is a character's own and what is its mood. None: the part is left out."""

    fixed: dict[str, tuple[str | None, ...]]  # part -> the variants a character may own, beside its hair
    telling: tuple[str, ...]  # the fixed parts that are seen well enough to be a look-alike's only difference
    moods: dict[str, tuple[str, ...]]  # part -> variants that read as an expression; for eyes: instead of the own ones
    chin: float  # where the chin of an upright head lies, from the top of the style's canvas, in its heights
    dull: tuple[str, ...] = ()  # variants never used: they hide what tells characters apart, or disgust
    lines: str | None = None  # hair colour of its line art; None: the style has no outlines, so no line art
    white: tuple[str, ...] = ()  # colours painted white in line art, beside skin


STYLES = {
    "adventurer": Style(
        fixed={
            "eyes": _numbered("variant", 1, 4, 6, 7, 16, 17, 23, 24),
            "details": (None, None, "birthmark", "blush", "freckles", "mustache"),
            "head": ("default",),
            "earrings": (None, None, None, *_numbered("variant", 1, 2, 3, 4, 5, 6)),
        },
        telling=("eyes", "details"),
        chin=0.8,
        moods={"eyes": _numbered("variant", 3, 5, 9, 10, 11, 12, 13, 14, 15, 18, 19, 20, 21, 22, 25, 26)},
        dull=("short19", "variant13", "variant19"),
        lines="ffffff",
        white=("lips", "tongue", "uvula"),
    ),
    "lorelei": Style(
        fixed={
            "eyes": _numbered("variant", 2, 4, 5, 7, 10, 12, 13, 14, 16, 20, 21, 23, 24),
            "head": _numbered("variant", 1, 2, 3, 4),
            "nose": _numbered("variant", 1, 2, 3, 4, 5, 6),
            "beard": (None,) * 12 + _numbered("variant", 1, 2),
            "freckles": (None, None, None, "variant01"),
            "earrings": (None, None, *_numbered("variant", 1, 2, 3)),
            "hairAccessories": (None, None, None, "flowers"),
        },
        telling=("eyes", "beard", "freckles", "hairAccessories"),
        chin=0.777,
        moods={"eyes": _numbered("variant", 1, 3, 8, 9, 11, 15, 17, 18, 19, 22)},
        lines="000000",  # its hair has no outline: black is how the artist drew it
    ),
    "big-ears": Style(
        fixed={
            "eyes": _numbered("variant", 2, 3, 5, 7, 8, 14, 15, 16, 18, 19, 20, 24, 26, 28, 30),
            "head": _numbered("variant", *range(1, 11)),
            "nose": _numbered("variant", *range(1, 13)),
            "ears": _numbered("variant", *range(1, 9)),
            "frontHair": _numbered("variant", *range(1, 13)),
            "sideburns": _numbered("variant", *range(1, 8)),
            "details": (None, None, *_numbered("variant", 1, 2, 3, 4, 5, 6)),
        },
        telling=("eyes", "head", "frontHair"),
        chin=0.915,
        moods={"eyes": _numbered("variant", 1, 9, 11, 12, 17, 25, 31, 32)},
    ),
}


@dataclass(frozen=True)
class Character:
    """Who is drawn. parts: (part, variant) of everything that stays, hair included; colours are hex without '#'."""

    folder: str
    name: str
    series: str
    style: str
    parts: tuple[tuple[str, str | None], ...]
    hair: str
    skin: str
    eyes: str

    @property
    def traits(self) -> tuple:
        """All that is to be seen of the character: two characters of equal traits would be one."""
        return self.style, self.parts, self.hair, self.skin, self.eyes


@cache
def definition(style: str) -> tuple[dicebear.Style, dict]:
    """The style as dicebear takes it, and the same as a dictionary."""
    content = json.loads(files("dicebear_styles").joinpath(f"{style}.json").read_text("utf-8"))
    return dicebear.Style(content), content


@cache
def variants(style: str, part: str) -> tuple[str, ...]:
    """The usable variants of a part, in the artist's order."""
    return tuple(v for v in definition(style)[1]["components"][part]["variants"] if v not in STYLES[style].dull)


def credits_text() -> str:
    """A line for each style used: its title, artist, licence."""
    return "\n".join(f"art: {title} by {artist}, {licence} ({url})" for _, title, artist, licence, url, _ in credits())


def credits() -> list[tuple[str, str, str, str, str, str]]:
    """(style, title, artist, licence name, licence url, source url) of every style used, as its own meta says."""
    rows = []
    for style in STYLES:
        meta = definition(style)[1]["meta"]
        licence, source = meta["license"], meta["source"]
        rows.append((style, source["name"], meta["creator"]["name"], licence["name"], licence["url"], source["url"]))
    return rows
