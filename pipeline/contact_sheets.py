"""Contact sheets: many pictures in one, with text or boxes, for people to look at in a run's artifacts."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from anyascii import anyascii
from fontTools.ttLib import TTFont
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

CELL, LINE, GAP = 112, 16, 6  # pixels
TEXT_COLOR, BACKGROUND = (40, 40, 40), (255, 255, 255)
TRUE_COLOR, FOUND_COLOR = (40, 100, 255), (230, 40, 40)
MARK_COLORS = {"": BACKGROUND, "right": (46, 160, 67), "wrong": (215, 58, 73)}


@cache
def _font() -> ImageFont.FreeTypeFont:
    # a font with East Asian characters where the machine has one, else the one that comes with matplotlib
    installed = {font.name for font in font_manager.fontManager.ttflist}
    names = ("Noto Sans CJK JP", "Noto Sans JP", "IPAGothic", "Hiragino Sans", "Yu Gothic", "DejaVu Sans")
    family = next(name for name in names if name in installed)
    return ImageFont.truetype(font_manager.findfont(font_manager.FontProperties(family=family)), 11)


@cache
def _letters() -> frozenset[int]:
    return frozenset(TTFont(_font().path, fontNumber=0).getBestCmap())


def _clip(text: str, width: int) -> str:
    """The text, transliterated to Latin letters if the font lacks some of its letters, cut to a width in pixels."""
    if not all(ord(letter) in _letters() for letter in text):
        text = anyascii(text)
    if _font().getlength(text) <= width:
        return text
    while text and _font().getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def contact_sheet(cells: Sequence[tuple[Image.Image, Sequence[str], str]], columns: int) -> Image.Image:
    """One RGB picture of all cells, row by row. A cell: picture (any size, RGB), lines of text, mark ("", right or wrong)."""
    lines = max((len(text) for _, text, _ in cells), default=0)
    width, height = CELL + GAP, CELL + LINE * lines + GAP
    rows = max(1, -(-len(cells) // columns))
    out = Image.new("RGB", (columns * width + GAP, rows * height + GAP), BACKGROUND)
    draw = ImageDraw.Draw(out)
    for i, (picture, text, mark) in enumerate(cells):
        x, y = GAP + i % columns * width, GAP + i // columns * height
        small = picture.copy()
        small.thumbnail((CELL, CELL))
        if mark:
            draw.rectangle((x - 3, y - 3, x + CELL + 2, y + CELL + 2), fill=MARK_COLORS[mark])
        out.paste(small, (x + (CELL - small.width) // 2, y + (CELL - small.height) // 2))
        for number, line in enumerate(text):
            draw.text((x, y + CELL + 2 + number * LINE), _clip(line, CELL), fill=TEXT_COLOR, font=_font())
    return out


def contact_sheet_of_boxes(
    pictures: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], columns: int = 4, cell: int = 320
) -> Image.Image:
    """One RGB picture of pictures with their boxes, true ones in blue, found ones in red.

    pictures: (uint8 RGB [h, w, 3], true boxes [n, 4], found boxes [m, 4]), boxes as left, top, right, bottom in pixels.
    columns: pictures in a row; cell: pixels of a picture's longer side.
    """
    rows = max(1, -(-len(pictures) // columns))
    out = Image.new("RGB", (columns * (cell + GAP) + GAP, rows * (cell + GAP) + GAP), BACKGROUND)
    for i, (picture, truth, found) in enumerate(pictures):
        scale = cell / max(picture.shape[:2])
        small = Image.fromarray(picture).resize([max(1, round(side * scale)) for side in picture.shape[1::-1]])
        draw = ImageDraw.Draw(small)
        for boxes, color in ((truth, TRUE_COLOR), (found, FOUND_COLOR)):
            for box in boxes:
                draw.rectangle([float(v) * scale for v in box], outline=color, width=2)
        out.paste(small, (GAP + i % columns * (cell + GAP), GAP + i // columns * (cell + GAP)))
    return out
