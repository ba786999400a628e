"""The page of an audit: the findings with their pictures, one HTML file that needs neither a network nor a script."""

import base64
import io
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image, ImageDraw

from crystal_eyes.audit.findings import KINDS, ONE_CHARACTER, SEVERAL, WRONG, Audit, Finding
from crystal_eyes.data.cropping import head_bytes
from crystal_eyes.images import PictureError
from crystal_eyes.recognizer.pictures import pixels

MAX_SHOWN = 200  # findings of a kind; findings.csv has all of them
EXAMPLES = 4  # heads that are shown of a character
SIDE, QUALITY = 112, 80  # pixels of a picture's longer side
BOX_COLOR = (230, 40, 40)


def page(audit: Audit, title: str) -> str:
    """The HTML of an audit's page. title: of the dataset."""
    shown = _Pictures(audit)
    sections = []
    for kind, text in KINDS.items():
        findings = [one for one in audit.findings if one.kind == kind]
        if findings:
            groups = [(one, _groups(one, shown)) for one in findings[:MAX_SHOWN]]
            sections.append({"kind": kind, "text": text, "count": len(findings), "findings": groups})
    kept = int(audit.kept().sum())
    return _template().render(
        title=title, notes=audit.notes, sections=sections, heads=len(audit.table), kept=kept, max_shown=MAX_SHOWN
    )


def _groups(one: Finding, shown: "_Pictures") -> list[tuple[str, list[str]]]:
    """(caption, pictures) that are shown side by side."""
    if one.row < 0:
        return []
    if one.kind == ONE_CHARACTER:
        return [(name, shown.examples(row)) for name, row in ((one.character, one.row), (one.other_character, one.other_row))]
    groups = [(one.character, shown.of(one.row, boxes=one.kind == SEVERAL))]
    if one.kind == WRONG:
        groups.append((f"other heads of {one.character}", shown.examples(one.row, without=True)))
        if one.other_row >= 0:
            best = one.other_character or "the most similar character"
            groups.append((f"heads of {best}", shown.examples(one.other_row)))
    elif one.other_row >= 0:
        groups.append((one.other_character, shown.of(one.other_row)))
    return groups


class _Pictures:
    """Pictures of an audit's rows as data URIs; "" for one that can't be read."""

    def __init__(self, audit: Audit):
        self._audit = audit
        self._uris: dict[tuple[int, bool], str] = {}
        self._names = audit.table["character"].to_numpy(dtype=str)
        self._rows: dict[str, list[int]] = defaultdict(list)  # of each character, the most typical first
        for place in np.argsort(-audit.check.own, kind="stable"):
            if not audit.check.wrong[place]:
                row = int(audit.checked[place])
                self._rows[self._names[row]].append(row)

    def of(self, row: int, boxes: bool = False) -> list[str]:
        if (row, boxes) not in self._uris:
            self._uris[row, boxes] = self._uri(row, boxes)
        return [self._uris[row, boxes]]

    def examples(self, row: int, without: bool = False) -> list[str]:
        """Typical heads of the row's character. without: but not the row itself."""
        rows = [other for other in self._rows[self._names[row]] if not without or other != row]
        return [uri for other in rows[:EXAMPLES] for uri in self.of(other)]

    def _uri(self, row: int, boxes: bool) -> str:
        path, box = self._audit.table["path"][row], self._audit.table["box"][row]
        try:
            picture = Image.fromarray(pixels(head_bytes(path, box)))
        except (PictureError, OSError):
            return ""
        scale = min(1.0, (2 if boxes else 1) * SIDE / max(picture.size))
        small = picture.resize([max(1, round(side * scale)) for side in picture.size], Image.Resampling.LANCZOS)
        if boxes:
            draw = ImageDraw.Draw(small)
            for found in self._audit.looks.records["boxes"][row]:
                if np.isfinite(found).all():
                    draw.rectangle([float(value) * scale for value in found], outline=BOX_COLOR, width=2)
        out = io.BytesIO()
        small.save(out, "WEBP", quality=QUALITY)
        return f"data:image/webp;base64,{base64.b64encode(out.getvalue()).decode()}"


@cache
def _template():  # type: ignore[no-untyped-def]  # jinja2's own type
    loader = FileSystemLoader(Path(__file__).parent)
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True).get_template("page.html")
