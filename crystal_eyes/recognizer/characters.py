"""The characters of a bundle: whom it knows, and which one is meant by a name and perhaps a series."""

import difflib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crystal_eyes.errors import UserError
from crystal_eyes.names import normalize_text
from crystal_eyes.recognizer.answers import full_name
from crystal_eyes.recognizer.bundle import CHARACTER, Bundle
from crystal_eyes.recognizer.gallery import ROWS

MAX_NEAREST = 3  # series that a message suggests


@dataclass(frozen=True)
class Known:
    """A character of a bundle. Its name and its series together identify it."""

    character: str
    series: str  # "" where unknown
    folder: Path | None = None  # of an enrolled character; None: it was trained
    original_name: str = ""  # in its own script, "" where unknown
    heads: int | None = None  # that it was trained or enrolled from, None where unknown
    stored: int | None = None  # of an enrolled character in a gallery of many: its id there; folder is then that gallery

    def __str__(self) -> str:
        return full_name(self.character, self.series)


def characters_of(bundle: Bundle) -> list[Known]:
    """The trained characters, then the enrolled ones that have a folder each; see also stored.StoredCharacters.known."""
    known = [
        Known(character, series, None, original, heads)
        for (character, series), original, heads in zip(bundle.characters, bundle.original_names, bundle.training_heads)
    ]
    for folder in bundle.enrolled:
        values, heads = json.loads((folder / CHARACTER).read_text("utf-8")), json.loads((folder / ROWS).read_text("utf-8"))
        known.append(Known(values["character"], values["series"], folder, heads=len(heads)))
    return known


def search(known: list[Known], words: Sequence[str] = (), series: str | None = None) -> list[Known]:
    """The characters of a series whose names, original names or series contain all words, by series and name.

    Neither case nor full or half width matters. series: its whole name; None: any. Raises UserError: there is no such series.
    """
    if series is not None:
        names = {folded(one.series): one.series for one in known if one.series}
        if folded(series) not in names:
            raise UserError(f"no character of the bundle is from the series {series}{_nearest(series, names)}")
        known = [one for one in known if folded(one.series) == folded(series)]
    wanted = [part for word in words for part in folded(word).split()]
    found = [one for one in known if all(part in folded(f"{one} {one.original_name}") for part in wanted)]
    return sorted(found, key=lambda one: (folded(one.series), folded(one.character)))


def folded(text: str) -> str:
    """A text in the form in which names are compared."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _nearest(series: str, names: Mapping[str, str]) -> str:
    """The series that may have been meant, as the end of a message. names: of all series, by their folded name."""
    wanted = folded(series)
    close = [name for name in names if wanted and wanted in name][:MAX_NEAREST]
    close = close or difflib.get_close_matches(wanted, names, MAX_NEAREST, 0.0)
    return f"; the nearest are {', '.join(names[name] for name in close)}" if close else ": none of them has a series"


def named(known: list[Known], character: str, series: str | None) -> list[Known]:
    """The characters with this name: "Rei", or in full "Rei (Her Game)".

    series: that of the character; None: any; "": none if there is a character without one, else any.
    """
    names = spellings(character)
    full = {full_name(name, its) for name in names for its in spellings(series or "")}
    exact = [] if series is None else [one for one in known if str(one) in full]
    return exact if exact or series else [one for one in known if names & {one.character, str(one)}]


def only(found: list[Known], character: str) -> Known | None:
    """The one that was found, if any. Raises UserError if there are several."""
    if len(found) > 1:
        listed = ", ".join(repr(one.series) if one.series else "none" for one in found)
        raise UserError(
            f"{character} is ambiguous, it names {len(found)} characters, of the series {listed}: give the series too"
        )
    return found[0] if found else None


def spellings(text: str) -> set[str]:
    """As it was given, for characters enrolled before names were normalized; and normalized."""
    try:
        return {text, normalize_text(text)}
    except UserError:
        return {text}
