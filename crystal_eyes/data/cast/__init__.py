"""The built-in dataset: a cast of drawn characters with look-alikes among them.

styles.py        what the artists' styles offer
characters.py    the characters of the cast
rendering.py     pictures of a character
drawing.py       the whole cast into a folder
attribution.py   the artists and licenses
"""

from crystal_eyes.data.cast.attribution import credits, credits_text
from crystal_eyes.data.cast.characters import FAMILY, MAX_CHARACTERS, Character, make_cast
from crystal_eyes.data.cast.drawing import COLUMNS, draw
from crystal_eyes.data.cast.rendering import draw_picture, upright_head

__all__ = [
    "COLUMNS", "FAMILY", "MAX_CHARACTERS", "Character", "credits", "credits_text", "draw", "draw_picture",
    "make_cast", "upright_head",
]  # fmt: skip
