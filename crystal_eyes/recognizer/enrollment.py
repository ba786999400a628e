"""Adds a character to a bundle from a few heads, without training, renames it, and removes it without a trace.

An enrolled character has its own folder in `enrolled`; apart from that, only the listing changes. The name of the folder is a
digest of what is in it: a change writes a new folder, then switches the listing in one step, then removes the old folder, so
that whoever reads the bundle meanwhile, and whatever interrupts the change, finds either the old bundle or the new one.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crystal_eyes.errors import UserError
from crystal_eyes.image_stats import hashes_of_sides
from crystal_eyes.images import PictureError
from crystal_eyes.names import normalize_name, normalize_text
from crystal_eyes.recognizer import gallery
from crystal_eyes.recognizer.answers import Head, full_name
from crystal_eyes.recognizer.bundle import CHARACTER, ENROLLED, LISTING, Bundle, read_bundle
from crystal_eyes.recognizer.characters import Known, characters_of, named, only
from crystal_eyes.recognizer.finding import FoundHead
from crystal_eyes.recognizer.pictures import pixels
from crystal_eyes.recognizer.recognizer import Recognizer
from crystal_eyes.recognizer.same_picture import is_duplicate, label_of_same_picture

MAX_HEADS = 50  # of a character
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
        known = characters_of(recognizer.bundle)
        own = only(named(known, character, series), name) or Known(name, its_series or "", folder)
        is_new = own not in known
        if own.folder is None:
            raise UserError(
                f"{own.character} is already in {folder} as a trained character ({own.series or 'no series'}), to which no "
                "heads can be added: choose another name, or give the series if it is a character of another one"
            )
        before = None if is_new else gallery.Gallery([own.folder])
        result = Enrollment(own.character, own.series, heads_before=len(before.characters) if before else 0)
        if len(pictures) + result.heads_before > MAX_HEADS:
            had = f" in addition to the {result.heads_before} enrolled before" if result.heads_before else ""
            raise UserError(f"too many pictures of {name} ({len(pictures)}{had}): choose at most {MAX_HEADS} varied ones")
        names, heads, embeddings = _usable(recognizer, pictures, head, None if is_new else _label(recognizer, own), result)
        if not heads:
            raise UserError(_why_no_head(own, result))
        for picture, looks in zip(names, recognizer.name_heads(heads)):
            best = looks.candidates[0]
            other = full_name(best.character, best.series) != str(own)
            likely = looks.verdict == "unsure" and best.probability >= LOOK_ALIKE * (1 - looks.nobody)
            if other and (likely or looks.verdict == "known"):
                result.look_alikes.append((picture, looks))
        result.heads = len(heads)
        description = {"character": own.character, "series": own.series, "pictures": [Path(one).name for one in names]}
        thumbnails = [gallery.thumbnail(Image.fromarray(one.picture), SIDE, QUALITY) for one in heads]
        if before:
            description["pictures"] = [*described(own.folder).get("pictures", []), *description["pictures"]]
            thumbnails = [*before.thumbnails, *thumbnails]
            embeddings = np.concatenate([before.embeddings, embeddings])
        _replace(recognizer.bundle, None if is_new else own.folder, description, embeddings, thumbnails)
        return result


def rename(folder: Path, character: str, series: str | None, new: str) -> str:
    """Give an enrolled character another name; its series stays. Returns both names in full.

    Raises UserError, without any change, if there is no such enrolled character, or if another one has the new name.
    """
    new_name = normalize_name(new)
    with locked(folder):
        bundle = read_bundle(folder)
        own, its_folder = _enrolled(bundle, character, series)
        known = characters_of(bundle)
        taken = [one for one in named(known, new_name, own.series) if one != own]
        if taken:
            raise UserError(f"{taken[0]} is already in {folder}: choose another name")
        heads = gallery.Gallery([its_folder])
        _replace(bundle, its_folder, described(its_folder) | {"character": new_name}, heads.embeddings, heads.thumbnails)
        return full_name(new_name, own.series)


def remove(folder: Path, character: str, series: str | None = None) -> None:
    """Remove an enrolled character; all files are then as they were before. Raises UserError if it was not enrolled."""
    with locked(folder):
        bundle = read_bundle(folder)
        _switch(bundle, _enrolled(bundle, character, series)[1], None)
        remove_unlisted(folder)


def _enrolled(bundle: Bundle, character: str, series: str | None) -> tuple[Known, Path]:
    known = characters_of(bundle)
    found = named(known, character, series)
    own = only([one for one in found if one.folder], character)
    if own is None or own.folder is None:
        which = character if series is None else full_name(character, series)
        why = "was trained, not enrolled, and can't be removed or renamed" if found else "is not in the bundle"
        enrolled = ", ".join(str(one) for one in known if one.folder) or "none"
        raise UserError(f"{which} {why}; enrolled in {bundle.folder}: {enrolled}")
    return own, own.folder


def described(folder: Path) -> dict[str, Any]:
    """What is known of an enrolled character, besides its heads."""
    return json.loads((folder / CHARACTER).read_text("utf-8"))


def _replace(
    bundle: Bundle, old: Path | None, description: dict[str, Any], embeddings: np.ndarray, thumbnails: list[bytes]
) -> None:
    """Write the folder of an enrolled character, in place of its old one if there is one."""
    try:
        own = write_character(bundle, description, embeddings, thumbnails)
        if own.name not in {one.name for one in bundle.enrolled}:
            _switch(bundle, old, own)
    finally:
        remove_unlisted(bundle.folder)


def write_character(bundle: Bundle, description: dict[str, Any], embeddings: np.ndarray, thumbnails: list[bytes]) -> Path:
    """Write the folder of an enrolled character, which the listing does not name yet, and return it."""
    part = bundle.folder / ENROLLED / f"{os.getpid()}.part"
    try:
        gallery.write_thumbnails(part, embeddings, [description["character"]] * len(thumbnails), thumbnails)
        (part / CHARACTER).write_text(json.dumps(description, ensure_ascii=False), "utf-8")
        digest = hashlib.sha256()
        for file in sorted(part.iterdir()):
            with open(file, "rb") as handle:
                digest.update(hashlib.file_digest(handle, "sha256").digest())
                os.fsync(handle.fileno())
        own = part.with_name(digest.hexdigest()[:16])
        if own.name not in {one.name for one in bundle.enrolled}:
            shutil.rmtree(own, ignore_errors=True)  # from a run that was interrupted before it wrote the listing
            part.rename(own)
        return own
    finally:
        shutil.rmtree(part, ignore_errors=True)


def listed_files(own: Path) -> list[str]:
    """The files of an enrolled character as the listing names them."""
    return [f"{ENROLLED}/{own.name}/{file.name}" for file in own.iterdir()]


def _switch(bundle: Bundle, old: Path | None, new: Path | None) -> None:
    """Replace the folder of an enrolled character in the listing; None: there is none."""
    files = list(bundle.listing["files"])
    if old:
        files = [name for name in files if not name.startswith(f"{ENROLLED}/{old.name}/")]
    if new:
        files += listed_files(new)
    bundle.relist(files)


def remove_unlisted(folder: Path) -> None:
    """Remove folders that the listing does not name: of removed characters, and what interrupted runs left."""
    inside = folder / ENROLLED
    listed = {one.name for one in Bundle(folder, json.loads((folder / LISTING).read_text("utf-8"))).enrolled}
    for one in inside.iterdir() if inside.is_dir() else ():
        if one.name not in listed:
            shutil.rmtree(one, ignore_errors=True)
    if inside.is_dir() and not any(inside.iterdir()):
        inside.rmdir()


def _usable(
    recognizer: Recognizer, pictures: Sequence[Path | HeadCrop], head: bool, own: int | None, result: Enrollment
) -> tuple[list[str], list[FoundHead], np.ndarray]:
    """The pictures that can be enrolled, their heads, and the heads' embeddings; the others go to result.left_out.

    own: label of the character that they are for, None for a new one.
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
        label = label_of_same_picture(recognizer.naming, embedding, picture)
        if label is not None:
            whose = full_name(*recognizer.naming.characters[label])
            result.left_out.append((path, "already enrolled" if label == own else f"the bundle has this head as {whose}"))
            if label != own:
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


def _label(recognizer: Recognizer, own: Known) -> int | None:
    """The label of an enrolled character; None if it is not used, as a newer release was trained on it."""
    return recognizer.naming.known.index(own) if own in recognizer.naming.known else None


def _why_no_head(own: Known, result: Enrollment) -> str:
    if result.of_others:
        whose = ", ".join(f"{name} ({count})" for name, count in result.of_others.items())
        return (
            f"no new head of {own}: the bundle has these heads as {whose}: give other pictures, or rename or remove the "
            "character that has them if it was enrolled under the wrong name"
        )
    if result.left_out and all(why == "already enrolled" for _, why in result.left_out):
        return f"no new head of {own}: all {len(result.left_out)} pictures are already enrolled"
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
