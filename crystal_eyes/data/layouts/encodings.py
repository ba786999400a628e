"""Finds out how the bytes of a text file spell letters: UTF-8, UTF-16, or what a spreadsheet of old wrote."""

import codecs
import unicodedata

from crystal_eyes.errors import UserError

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SAMPLE = 4096  # bytes that show whether a text without a mark is UTF-16
LATIN_SIGNS = set("‘’“”–—…«»¡ºª°²½©®€·\u00a0")  # that names in Western European texts contain besides letters


def decode(data: bytes) -> tuple[str, str]:
    """(text, name of its encoding). Raises UserError where the encoding can't be told."""
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return _decoded(data, encoding), encoding
    if (wide := _wide(data[:SAMPLE])) is not None:
        return _decoded(data, wide), wide
    if b"\0" in data:
        raise UserError("it is not a text")
    for encoding, fits in (("utf-8", None), ("cp932", _is_japanese), ("cp1252", _is_western)):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if fits is None or fits(text):
            return text, encoding
    raise UserError("its encoding is not known")


def _decoded(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UserError(f"it is damaged: byte {error.start} is not {encoding}") from None


def _wide(sample: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of ASCII is zero."""
    zeros = sample[0::2].count(0), sample[1::2].count(0)
    if len(sample) >= 4 and max(zeros) > len(sample) / 8 and min(zeros) == 0:
        return "utf-16-be" if zeros[0] else "utf-16-le"
    return None


def _is_japanese(text: str) -> bool:
    """Whether a text that was decoded as Shift-JIS makes sense: common signs, and few of them glued to Latin letters."""
    common = rare = glued = 0
    for before, letter, after in zip(" " + text, text, text[1:] + " "):
        if letter.isascii():
            continue
        lead = letter.encode("cp932")[0]
        if 0x81 <= lead <= 0x98:  # kana, punctuation and the kanji of everyday use
            common += 1
        else:
            rare += 1
        glued += sum(other.isascii() and other.isalpha() for other in (before, after))
    return common > rare and glued < 0.75 * (common + rare)


def _is_western(text: str) -> bool:
    """Whether a text that was decoded as Windows-1252 makes sense: Latin letters, nearly all of them alone among ASCII."""
    foreign = [letter for letter in text if not letter.isascii()]
    pairs = sum(not a.isascii() and not b.isascii() for a, b in zip(text, text[1:]))
    known = all(letter in LATIN_SIGNS or (unicodedata.category(letter)[0] == "L" and letter != "ƒ") for letter in foreign)
    return known and pairs <= len(foreign) / 4
