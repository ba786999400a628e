"""Sheets of pictures with a line of text under each: what a person looks at."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from anyascii import anyascii
from fontTools.ttLib import TTFont
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

CELL, LINE, GAP = 112, 16, 6  # pixels
INK, PAPER = (40, 40, 40), (255, 255, 255)
TRUE, FOUND = (40, 100, 255), (230, 40, 40)
MARKS = {"": PAPER, "right": (46, 160, 67), "wrong": (215, 58, 73)}


@cache
def _font() -> ImageFont.FreeTypeFont:
    # a font with East Asian letters where the machine has one, else the one matplotlib ships
    installed = {font.name for font in font_manager.fontManager.ttflist}
    names = ("Noto Sans CJK JP", "Noto Sans JP", "IPAGothic", "Hiragino Sans", "Yu Gothic", "DejaVu Sans")
    family = next(name for name in names if name in installed)
    return ImageFont.truetype(font_manager.findfont(font_manager.FontProperties(family=family)), 11)


@cache
def _letters() -> frozenset[int]:
    return frozenset(TTFont(_font().path, fontNumber=0).getBestCmap())


def _clip(text: str, width: int) -> str:
    """The text in Latin letters where the font lacks its own, cut to a width in pixels."""
    if not all(ord(letter) in _letters() for letter in text):
        text = anyascii(text)
    if _font().getlength(text) <= width:
        return text
    while text and _font().getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def sheet(cells: Sequence[tuple[Image.Image, Sequence[str], str]], columns: int) -> Image.Image:
    """One RGB picture of all cells, row by row. A cell: picture (any size, RGB), lines of text, mark ("", right, wrong)."""
    lines = max((len(text) for _, text, _ in cells), default=0)
    width, height = CELL + GAP, CELL + LINE * lines + GAP
    rows = max(1, -(-len(cells) // columns))
    out = Image.new("RGB", (columns * width + GAP, rows * height + GAP), PAPER)
    draw = ImageDraw.Draw(out)
    for i, (picture, text, mark) in enumerate(cells):
        x, y = GAP + i % columns * width, GAP + i // columns * height
        small = picture.copy()
        small.thumbnail((CELL, CELL))
        if mark:
            draw.rectangle((x - 3, y - 3, x + CELL + 2, y + CELL + 2), fill=MARKS[mark])
        out.paste(small, (x + (CELL - small.width) // 2, y + (CELL - small.height) // 2))
        for number, line in enumerate(text):
            draw.text((x, y + CELL + 2 + number * LINE), _clip(line, CELL), fill=INK, font=_font())
    return out


def boxes_sheet(
    pictures: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], columns: int = 4, cell: int = 320
) -> Image.Image:
    """One RGB picture of pictures (uint8 RGB [h, w, 3], true boxes [n, 4], found boxes [m, 4]): true blue, found red."""
    rows = max(1, -(-len(pictures) // columns))
    out = Image.new("RGB", (columns * (cell + GAP) + GAP, rows * (cell + GAP) + GAP), PAPER)
    for i, (picture, truth, found) in enumerate(pictures):
        scale = cell / max(picture.shape[:2])
        small = Image.fromarray(picture).resize([max(1, round(side * scale)) for side in picture.shape[1::-1]])
        draw = ImageDraw.Draw(small)
        for boxes, colour in ((truth, TRUE), (found, FOUND)):
            for box in boxes:
                draw.rectangle([float(v) * scale for v in box], outline=colour, width=2)
        out.paste(small, (GAP + i % columns * (cell + GAP), GAP + i // columns * (cell + GAP)))
    return out
