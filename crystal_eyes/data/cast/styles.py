"""The styles that the cast is drawn in: which parts of a style make up a character, and which ones express a mood."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import dicebear

# Hex colors without "#". Neighbors in the ring of hair colors are similar: look-alikes are taken from there.
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
    """Which parts of a dicebear style belong to a character and which to its mood. None: the part is left out."""

    fixed: dict[str, tuple[str | None, ...]]  # part -> the variants that characters have of it; hair comes on top
    distinctive: tuple[str, ...]  # the fixed parts that are visible enough to be a look-alike's only difference
    moods: dict[str, tuple[str, ...]]  # part -> variants that show an expression; for eyes: instead of the character's own
    chin: float  # of an upright head, measured from the top of the style's canvas, as a fraction of its height
    unused: tuple[str, ...] = ()  # variants never drawn: they hide what distinguishes characters, or are unpleasant
    line_art_hair: str | None = None  # hair color of its line art; None: the style has no outlines, so no line art
    white: tuple[str, ...] = ()  # colors painted white in line art, in addition to skin


STYLES = {
    "adventurer": Style(
        fixed={
            "eyes": _numbered("variant", 1, 4, 6, 7, 16, 17, 23, 24),
            "details": (None, None, "birthmark", "blush", "freckles", "mustache"),
            "head": ("default",),
            "earrings": (None, None, None, *_numbered("variant", 1, 2, 3, 4, 5, 6)),
        },
        distinctive=("eyes", "details"),
        chin=0.8,
        moods={"eyes": _numbered("variant", 3, 5, 9, 10, 11, 12, 13, 14, 15, 18, 19, 20, 21, 22, 25, 26)},
        unused=("short19", "variant13", "variant19"),
        line_art_hair="ffffff",
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
        distinctive=("eyes", "beard", "freckles", "hairAccessories"),
        chin=0.777,
        moods={"eyes": _numbered("variant", 1, 3, 8, 9, 11, 15, 17, 18, 19, 22)},
        line_art_hair="000000",  # its hair has no outline: black is how the artist drew it
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
        distinctive=("eyes", "head", "frontHair"),
        chin=0.915,
        moods={"eyes": _numbered("variant", 1, 9, 11, 12, 17, 25, 31, 32)},
    ),
}


@cache
def definition(style: str) -> tuple[dicebear.Style, dict]:
    """A style as a dicebear object, and its definition as a dictionary."""
    content = json.loads(files("dicebear_styles").joinpath(f"{style}.json").read_text("utf-8"))
    return dicebear.Style(content), content


@cache
def variants(style: str, part: str) -> tuple[str, ...]:
    """The variants of a part that are drawn, in the artist's order."""
    return tuple(v for v in definition(style)[1]["components"][part]["variants"] if v not in STYLES[style].unused)
