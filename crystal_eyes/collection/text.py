"""Indexing runs and matches in words, for a console."""

from collections.abc import Sequence
from pathlib import Path

from crystal_eyes.collection.collection import Collection
from crystal_eyes.collection.results import Report
from crystal_eyes.collection.searching import Match, percent
from crystal_eyes.collection.sheet import SheetRow
from crystal_eyes.console import as_json, one_text_line, say
from crystal_eyes.errors import said
from crystal_eyes.images import PictureError
from crystal_eyes.recognizer.text import count_of, place

ALSO = 5  # places that are listed


def report_line(report: Report, heads: int) -> str:
    """What an indexing run did. heads: in the collection now."""
    parts = [f"{report.added:,} pictures added with {report.heads:,} heads", f"{report.unchanged:,} files unchanged",
             f"{report.forgotten:,} pictures forgotten"]  # fmt: skip
    if report.unreadable:
        parts.append(f"{report.unreadable:,} not readable")
    if report.unreadable_before:
        parts.append(f"{report.unreadable_before:,} not readable before and unchanged since")
    return f"{', '.join(parts)}; the collection has {heads:,} heads now"


def match_lines(matches: Sequence[Match]) -> list[str]:
    if not matches:
        return ["     the collection holds no heads"]
    lines = []
    for number, match in enumerate(matches, 1):
        where = "" if match.whole_picture else f" at {', '.join(f'{value:.0f}' for value in match.box)}"
        alike = f"{percent(match.likeness):>4}  {match.verdict:7}  similarity {match.similarity:.2f}"
        lines.append(f"     {number:3} {alike}: {match.place}{where}")
        lines += [f"               also {place}" for place in match.also[:ALSO]]
        if len(match.also) > ALSO:
            lines.append(f"               and {len(match.also) - ALSO} more")
    return lines


class Answers:
    """Prints what is found in a collection, and keeps it for a contact sheet."""

    def __init__(self, collection: Collection, top: int, in_json: bool):
        self._collection, self._top, self._in_json = collection, top, in_json
        self.rows: list[SheetRow] = []

    def say_name(self, name: str, series: str | None) -> None:
        """Raises UserError: no character of the bundle has this name, or several."""
        known, matches = self._collection.search_name(name, series, self._top)
        self.rows.append(SheetRow(None, str(known), matches))
        if self._in_json:
            found = [match.as_dict() for match in matches]
            say(as_json({"character": known.character, "series": known.series, "matches": found}))
        else:
            say("\n".join(one_text_line(line) for line in [str(known), *match_lines(matches)]))

    def say_picture(self, path: Path) -> bool:
        """Returns whether the picture can be used; prints why if it can't."""
        try:
            searched = self._collection.search(path, self._top)
        except (PictureError, OSError) as problem:
            error = said(problem)
            say(as_json({"picture": str(path), "error": error}) if self._in_json else one_text_line(f"{path}: {error}"))
            return False
        if self._in_json:
            say(as_json({"picture": str(path), "heads": [one.as_dict() for one in searched]}))
        else:
            lines = [f"{path}: {count_of(len(searched))}"]
            for number, one in enumerate(searched, 1):
                lines += [place(number, one.head), *match_lines(one.matches)] if one.head else []
            say("\n".join(one_text_line(line) for line in lines))
        self.rows += [SheetRow(one.head.picture, path.name, one.matches) for one in searched if one.head]
        return True
