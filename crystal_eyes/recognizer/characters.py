"""Which character of a bundle is meant by a name, and by the name of its series if one is given."""

import json
from dataclasses import dataclass
from pathlib import Path

from crystal_eyes.errors import UserError
from crystal_eyes.names import normalize_text
from crystal_eyes.recognizer.answers import full_name
from crystal_eyes.recognizer.bundle import CHARACTER, Bundle


@dataclass(frozen=True)
class Known:
    """A character of a bundle. Its name and its series together identify it."""

    character: str
    series: str  # "" where unknown
    folder: Path | None = None  # of an enrolled character; None: it was trained

    def __str__(self) -> str:
        return full_name(self.character, self.series)


def characters_of(bundle: Bundle) -> list[Known]:
    """The trained characters, then the enrolled ones."""
    described = [(folder, json.loads((folder / CHARACTER).read_text("utf-8"))) for folder in bundle.enrolled]
    return [Known(*one) for one in bundle.characters] + [
        Known(values["character"], values["series"], folder) for folder, values in described
    ]


def named(known: list[Known], character: str, series: str | None) -> list[Known]:
    """The characters with this name: "Rei", or in full "Rei (Her Game)".

    series: that of the character; None: any; "": none if there is a character without one, else any.
    """
    names = _spellings(character)
    full = {full_name(name, its) for name in names for its in _spellings(series or "")}
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


def _spellings(text: str) -> set[str]:
    """As it was given, for characters enrolled before names were normalized; and normalized."""
    try:
        return {text, normalize_text(text)}
    except UserError:
        return {text}
