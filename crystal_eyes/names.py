"""The one way to write the name of a character or a series, in datasets, in enrollment and on the page."""

import unicodedata

from crystal_eyes.errors import UserError

MAX_LENGTH = 200  # characters of a name
SHOWN = 40  # characters of a bad name in a message
JOINERS = "\u200c\u200d"  # zero-width characters that spell words and emoji of some scripts
BLANK = dict.fromkeys(map(ord, "\u115f\u1160\u2800\u3164\uffa0"), " ")  # letters and symbols that show nothing


def normalize_name(text: str) -> str:
    """A name as one line that looks the same whoever typed it. Raises UserError where it is empty or no valid name.

    See normalize_text for what is changed; upper and lower case stay different.
    """
    name = normalize_text(text)
    if not name and text.strip():
        raise UserError(f"the name {shown(text)} contains no visible character: give at least one")
    if not name:
        raise UserError("the name is empty: give at least one visible character")
    return name


def normalize_text(text: str) -> str:
    """Like normalize_name, for a text that may be empty, such as a series that is not known.

    Composed Unicode (NFC); white space of any kind and length is one space, none at the ends; control characters and
    invisible ones are dropped; full-width letters and digits and half-width katakana get their usual width. Other
    compatibility forms stay, because names contain them ("Ranma ½"). The result normalizes to itself.
    Raises UserError for more than MAX_LENGTH characters, and for bytes that are not UTF-8.
    """
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise UserError(f"the name {shown(text)} is not valid Unicode: write it in UTF-8")
    visible = "".join(_usual_width(letter) for letter in text.translate(BLANK) if letter.isspace() or _is_visible(letter))
    joined = _without_loose_joiners(unicodedata.normalize("NFC", visible))
    name = unicodedata.normalize("NFC", " ".join(joined.split()))
    if len(name) > MAX_LENGTH:
        raise UserError(f"the name {shown(name)} has {len(name)} characters: use at most {MAX_LENGTH}")
    return name


def shown(text: str) -> str:
    """A text of any content and length as a message quotes it: one line, at most SHOWN characters of it."""
    start = text[:SHOWN] + "..." if len(text) > SHOWN else text
    return repr(start) if start.isprintable() else ascii(start)


def _is_visible(letter: str) -> bool:
    return letter in JOINERS or unicodedata.category(letter) not in ("Cc", "Cf")


def _usual_width(letter: str) -> str:
    is_wide = "\uff10" <= letter <= "\uff5a" and letter.isalnum()
    is_narrow_katakana = "\uff66" <= letter <= "\uff9f"
    return unicodedata.normalize("NFKC", letter) if is_wide or is_narrow_katakana else letter


def _without_loose_joiners(text: str) -> str:
    """Without the joiners that join nothing: all but those between letters of a script without case, or between emoji."""
    out: list[str] = []
    base = ""  # category of the last character that is neither a mark nor a modifier
    for letter, following in zip(text, [*text[1:], " "]):
        category = unicodedata.category(letter)
        if letter in JOINERS:
            if base not in ("Lo", "So") or following.isspace() or following in JOINERS:
                continue
        elif category[0] != "M" and category != "Sk":
            base = category
        out.append(letter)
    return "".join(out)
