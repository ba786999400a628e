"""The contact sheet of a search: a row for each head, the head itself and then the pictures that were found."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from crystal_eyes.collection.opening import thumbnail
from crystal_eyes.collection.searching import Match, percent
from crystal_eyes.errors import said
from crystal_eyes.images import PictureError
from crystal_eyes.paths import replaced

CELL, CAPTION, GAP = 160, 22, 8  # pixels
IN_A_ROW = 10
PAPER, INK, EMPTY = (255, 255, 255), (31, 41, 55), (229, 231, 235)
VERDICTS = {"close": (21, 128, 61), "perhaps": (180, 83, 9), "unlike": (109, 40, 217)}


class SheetRow(NamedTuple):
    head: np.ndarray | None  # uint8 RGB [h, w, 3]: that was searched; None: it was a name
    title: str  # below it
    matches: Sequence[Match]


def write_sheet(path: Path, rows: Sequence[SheetRow]) -> list[str]:
    """Write a PNG. Returns a line for each picture that can't be read any more; its place stays empty.

    Raises OSError: the file can't be written; then none is left.
    """
    missing: list[str] = []
    cells: list[list[tuple[Image.Image | None, str, tuple[int, int, int]]]] = []
    for row in rows:
        line = [(None if row.head is None else _small(row.head), row.title, INK)]
        for number, match in enumerate(row.matches, 1):
            picture = None
            try:
                picture = thumbnail(match.place, match.box, CELL)
            except (PictureError, OSError) as error:
                missing.append(f"{match.place}: {said(error)}")
            line.append((picture, f"{number}: {percent(match.likeness)}", VERDICTS[match.verdict]))
        cells += [line[start : start + IN_A_ROW + 1] for start in range(0, len(line), IN_A_ROW + 1)]
    across = max((len(line) for line in cells), default=1)
    down = CELL + CAPTION + GAP
    sheet = Image.new("RGB", (GAP + across * (CELL + GAP), GAP + max(len(cells), 1) * down), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for y, line in enumerate(cells):
        for x, (picture, text, color) in enumerate(line):
            left, top = GAP + x * (CELL + GAP), GAP + y * down
            if picture is None:
                draw.rectangle((left, top, left + CELL - 1, top + CELL - 1), outline=EMPTY)
            else:
                sheet.paste(picture, (left + (CELL - picture.width) // 2, top + (CELL - picture.height) // 2))
            draw.text((left, top + CELL + 3), text[:24], color, font)
    with replaced(path) as part:
        sheet.save(part, "PNG")
    return missing


def _small(head: np.ndarray) -> Image.Image:
    picture = Image.fromarray(head)
    picture.thumbnail((CELL, CELL), Image.Resampling.BICUBIC)
    return picture
