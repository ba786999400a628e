"""The file in which enrolled characters are passed on: from a bundle to the page of `crystal-eyes web`, and back.

JSON, the same as web/src/own/file.ts reads and writes: kind, format, and for each character its name, series and heads (the
name of the picture, and the head's picture, WebP or PNG in base64). It holds no embeddings: whoever reads it makes them with
his own encoder.
"""

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crystal_eyes.errors import UserError
from crystal_eyes.names import normalize_name, normalize_text
from crystal_eyes.paths import replaced
from crystal_eyes.recognizer.bundle import Bundle
from crystal_eyes.recognizer.characters import Known
from crystal_eyes.recognizer.enrolled_files import enrolled_characters, kept
from crystal_eyes.recognizer.enrollment import Enrollment, HeadCrop, enroll

KIND, FORMAT = "crystal-eyes characters", 1
MAX_BYTES = 200_000_000


@dataclass(frozen=True)
class Filed:
    """A character of such a file."""

    character: str
    series: str  # "" where unknown
    heads: list[HeadCrop]


def read(path: Path) -> list[Filed]:
    """The characters in a file. Raises UserError: not such a file, of a newer format, damaged, too large, or a bad name."""
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"{path} is too large for a file of characters: at most {MAX_BYTES // 1_000_000} MB")
    try:
        found = json.loads(path.read_text("utf-8"))
        is_kind = found["kind"] == KIND
    except (ValueError, KeyError, TypeError, RecursionError):
        is_kind = False
    if not is_kind:
        others = "a dataset (a folder per character, or a table: .csv, .tsv or .parquet), or a bundle"
        raise UserError(f"{path} is not a file of characters that Crystal Eyes has written: give one, {others}")
    if found.get("format") != FORMAT:
        raise UserError(f"{path} has format {found.get('format')}, this version reads {FORMAT}: update crystal-eyes")
    try:
        return [_character(one) for one in found["characters"]]
    except (KeyError, TypeError, AttributeError, binascii.Error, UnicodeEncodeError) as error:
        raise UserError(f"{path} is damaged ({type(error).__name__}: {error}): save it again") from None


def _character(values: dict[str, Any]) -> Filed:
    heads = [HeadCrop(str(one["name"]), base64.b64decode(one["picture"], validate=True)) for one in values["heads"]]
    return Filed(normalize_name(values["character"]), normalize_text(values["series"]), heads)


def enroll_all(folder: Path, characters: list[Filed]) -> Iterator[Enrollment | UserError]:
    """Enroll each character of a file into the bundle in folder, or yield why it was not."""
    for one in characters:
        try:
            yield enroll(folder, one.character, one.series, one.heads)
        except UserError as error:
            yield error


def write(bundle: Bundle, path: Path) -> int:
    """Write all characters that were enrolled into a bundle to a new file. Returns their number.

    Raises UserError, without writing: there are none, or too many for a file, or the file exists.
    """
    if path.exists():
        raise UserError(f"{path} already exists: choose a new name")
    characters, size = [], 0
    for one in enrolled_characters(bundle):
        characters.append(_filed(bundle, one))
        size += sum(len(head["picture"]) for head in characters[-1]["heads"])
        if size > MAX_BYTES:
            raise UserError(f"{path} would be larger than {MAX_BYTES // 1_000_000} MB: copy {bundle.folder} as it is instead")
    if not characters:
        raise UserError(f"no character was enrolled into {bundle.folder}: there is nothing to write to {path}")
    text = json.dumps({"kind": KIND, "format": FORMAT, "characters": characters}, indent=1, ensure_ascii=False)
    with replaced(path) as part:
        part.write_text(text + "\n", "utf-8")
    return len(characters)


def _filed(bundle: Bundle, one: Known) -> dict[str, Any]:
    its = kept(bundle, one)
    names = [*its.names, *[""] * len(its.thumbnails)]  # older bundles name none
    heads = [{"name": name, "picture": base64.b64encode(data).decode()} for name, data in zip(names, its.thumbnails)]
    return {"character": one.character, "series": one.series, "heads": heads}
