"""Adds a character to a bundle from a few heads, without training, renames it, and removes it without a trace.

An enrolled character has its own folder in `enrolled`, apart from which only the listing changes, or, where they are many, its
rows in a database: see enrolled_files.py and stored.py.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from crystal_eyes.errors import UserError
from crystal_eyes.image_stats import hashes_of_sides
from crystal_eyes.images import PictureError
from crystal_eyes.names import normalize_name, normalize_text
from crystal_eyes.recognizer import enrolled_files, gallery
from crystal_eyes.recognizer.answers import Head, full_name
from crystal_eyes.recognizer.bundle import Bundle, read_bundle
from crystal_eyes.recognizer.characters import Known, only
from crystal_eyes.recognizer.enrolled_files import Kept, count_enrolled, drop, enrolled_characters, keep, kept
from crystal_eyes.recognizer.finding import FoundHead
from crystal_eyes.recognizer.pictures import pixels
from crystal_eyes.recognizer.recognizer import Recognizer
from crystal_eyes.recognizer.same_picture import is_duplicate, known_by_same_picture
from crystal_eyes.recognizer.stored import find

MAX_HEADS = 50  # of a character
MOST_LISTED = 20  # characters in a message
SIDE, QUALITY = 256, 90  # of a head's picture: enough to embed it again with another encoder
LOOK_ALIKE = 0.5  # probability, among all characters, from which a head looks like another one


@dataclass(frozen=True)
class HeadCrop:
    """A picture that is a head crop as a whole, as enrolled characters are kept."""

    name: str
    data: bytes  # encoded

    def __str__(self) -> str:
        return self.name


@dataclass
class Enrollment:
    """What was done with the given pictures."""

    character: str  # its name, normalized
    series: str
    heads: int = 0  # that were enrolled
    heads_before: int = 0  # that the character had been enrolled from already
    left_out: list[tuple[str, str]] = field(default_factory=list)  # picture, why
    of_others: dict[str, int] = field(default_factory=dict)  # pictures left out because they are other characters', by name
    look_alikes: list[tuple[str, Head]] = field(default_factory=list)  # picture, its head named as a character known before


def enroll(
    folder: Path, character: str, series: str | None, pictures: Sequence[Path | HeadCrop], head: bool = False
) -> Enrollment:
    """Add a character to the bundle in folder from pictures with one head each, or more heads to an enrolled character.

    Name and series together identify a character; without a series, it is the one with this name, or a new one. Pictures whose
    heads the bundle already has are left out. head: every picture is one head, which is not searched for. Raises UserError,
    without any change, on a name that is not valid, ambiguous, or that of a trained character, on no usable head, and on more
    than MAX_HEADS.
    """
    name, its_series = normalize_name(character), None if series is None else normalize_text(series)
    with locked(folder):
        recognizer = Recognizer.load(folder)
        found = only(find(recognizer.bundle, character, series), name)
        own, is_new = found or Known(name, its_series or "", folder), found is None
        if own.folder is None:
            raise UserError(
                f"{own.character} is already in {folder} as a trained character ({own.series or 'no series'}), to which no "
                "heads can be added: choose another name, or give the series if it is a character of another one"
            )
        before = None if is_new else kept(recognizer.bundle, own)
        result = Enrollment(own.character, own.series, heads_before=len(before.thumbnails) if before else 0)
        if len(pictures) + result.heads_before > MAX_HEADS:
            had = f" in addition to the {result.heads_before} enrolled before" if result.heads_before else ""
            raise UserError(f"too many pictures of {name} ({len(pictures)}{had}): choose at most {MAX_HEADS} varied ones")
        names, heads, embeddings = usable(recognizer, pictures, head, own, result)
        if not heads:
            raise UserError(_why_no_head(own, result))
        for picture, looks in zip(names, recognizer.name_heads(heads)):
            best = looks.candidates[0]
            other = full_name(best.character, best.series) != str(own)
            likely = looks.verdict == "unsure" and best.probability >= LOOK_ALIKE * (1 - looks.nobody)
            if other and (likely or looks.verdict == "known"):
                result.look_alikes.append((picture, looks))
        result.heads = len(heads)
        names = [Path(one).name for one in names]
        thumbnails = [gallery.thumbnail(Image.fromarray(one.picture), SIDE, QUALITY) for one in heads]
        if before:
            names, thumbnails = [*before.names, *names], [*before.thumbnails, *thumbnails]
            embeddings = np.concatenate([before.embeddings, embeddings])
        keep(recognizer.bundle, found, own.character, own.series, Kept(names, embeddings, thumbnails))
        return result


def rename(folder: Path, character: str, series: str | None, new: str) -> str:
    """Give an enrolled character another name; its series stays. Returns both names in full.

    Raises UserError, without any change, if there is no such enrolled character, or if another one has the new name.
    """
    new_name = normalize_name(new)
    with locked(folder):
        bundle = read_bundle(folder)
        own = _enrolled(bundle, character, series)
        taken = [one for one in find(bundle, new_name, own.series) if one != own]
        if taken:
            raise UserError(f"{taken[0]} is already in {folder}: choose another name")
        enrolled_files.rename(bundle, own, new_name)
        return full_name(new_name, own.series)


def remove(folder: Path, character: str, series: str | None = None) -> None:
    """Remove an enrolled character; all files are then as they were before. Raises UserError if it was not enrolled."""
    with locked(folder):
        bundle = read_bundle(folder)
        drop(bundle, _enrolled(bundle, character, series))


def _enrolled(bundle: Bundle, character: str, series: str | None) -> Known:
    found = find(bundle, character, series)
    own = only([one for one in found if one.folder], character)
    if own is None:
        which = character if series is None else full_name(character, series)
        why = "was trained, not enrolled, and can't be removed or renamed" if found else "is not in the bundle"
        raise UserError(f"{which} {why}; enrolled in {bundle.folder}: {_listed(bundle)}")
    return own


def _listed(bundle: Bundle) -> str:
    """The enrolled characters, as many as a message can hold."""
    enrolled = [str(one) for one in islice(enrolled_characters(bundle), MOST_LISTED)]
    more = count_enrolled(bundle) - len(enrolled)
    return f"{', '.join(enrolled)}{f' and {more:,} more' if more else ''}" if enrolled else "none"


def usable(
    recognizer: Recognizer, pictures: Sequence[Path | HeadCrop], head: bool, own: Known, result: Enrollment
) -> tuple[list[str], list[FoundHead], np.ndarray]:
    """The pictures that can be enrolled, their heads, and the heads' embeddings; the others go to result.left_out.

    own: the character that they are for.
    """
    names: list[str] = []
    hashes: list[np.ndarray] = []
    heads: list[FoundHead] = []
    embeddings: list[np.ndarray] = []
    for given in pictures:
        path = str(given)
        try:
            found = [_as_head(pixels(given.data))] if isinstance(given, HeadCrop) else recognizer.find(path, head=head)
        except (PictureError, OSError) as error:
            result.left_out.append((path, str(error)))
            continue
        if len(found) != 1:
            result.left_out.append((path, f"{len(found)} heads found" if found else "no head found"))
            continue
        picture = Image.fromarray(found[0].picture)
        sides = hashes_of_sides(picture)
        twin = next((name for name, other in zip(names, hashes) if is_duplicate(sides, other)), None)
        if twin:
            result.left_out.append((path, f"duplicate of {twin}"))
            continue
        embedding = recognizer.embed([found[0].picture])[0]
        other = known_by_same_picture(recognizer.naming, embedding, picture)
        if other is not None:
            is_own, whose = (other.character, other.series) == (own.character, own.series), str(other)
            result.left_out.append((path, "already enrolled" if is_own else f"the bundle has this head as {whose}"))
            if not is_own:
                result.of_others[whose] = result.of_others.get(whose, 0) + 1
            continue
        names.append(path)
        hashes.append(sides[0])
        heads.append(found[0])
        embeddings.append(embedding)
    return names, heads, np.array(embeddings, np.float32)


def _as_head(picture: np.ndarray) -> FoundHead:
    height, width = picture.shape[:2]
    return FoundHead((0.0, 0.0, float(width), float(height)), 1.0, True, picture)


def _why_no_head(own: Known, result: Enrollment) -> str:
    if result.of_others:
        whose = ", ".join(f"{name} ({count})" for name, count in result.of_others.items())
        return (
            f"no new head of {own}: the bundle has these heads as {whose}: give other pictures, or rename or remove the "
            "character that has them if it was enrolled under the wrong name"
        )
    if result.left_out and all(why == "already enrolled" for _, why in result.left_out):
        given = "the picture is" if len(result.left_out) == 1 else f"all {len(result.left_out)} pictures are"
        return f"no new head of {own}: {given} already enrolled"
    why = f" ({result.left_out[0][0]}: {result.left_out[0][1]})" if result.left_out else ""
    return f"no usable head of {own}{why}: each picture must show exactly one head"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Context: only one process at a time changes a bundle."""
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder: only a bundle in a folder can be changed")
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
