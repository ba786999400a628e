"""Adds a character to a bundle from a few heads, without training, and takes it out again exactly.

A character added lies in a folder of its own below `enrolled`; no other file but the listing changes.
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

import numpy as np
from PIL import Image

from crystal_eyes.errors import UserError
from crystal_eyes.image_stats import difference_hash
from crystal_eyes.images import PictureError
from crystal_eyes.recognizer import gallery
from crystal_eyes.recognizer.answers import Head
from crystal_eyes.recognizer.bundle import CHARACTER, ENROLLED, read_bundle, write_listing
from crystal_eyes.recognizer.finding import FoundHead
from crystal_eyes.recognizer.recognizer import Recognizer

MOST = 50  # heads of a character
SAME_BITS = 6  # of 256: pictures whose hashes differ in no more are duplicates
SURE = 0.5  # probability from which a head looks like somebody else


@dataclass
class Enrolment:
    """What became of the pictures given."""

    heads: int = 0
    left_out: list[tuple[str, str]] = field(default_factory=list)  # picture, why
    look_alikes: list[tuple[str, Head]] = field(default_factory=list)  # pictures that look like a character known before


def enroll(folder: Path, character: str, series: str, pictures: Sequence[Path]) -> Enrolment:
    """Add a character to the bundle in folder from pictures of one head each.

    Raises UserError, and changes nothing: a name that is there already or empty, no usable head, more than MOST.
    """
    with _changing(folder):
        recognizer = Recognizer.load(folder)
        if not character.strip():
            raise UserError("the character has no name: give --character NAME")
        if character in recognizer.naming.series:
            raise UserError(f"{character} is in {folder} already: choose another name, or --remove it first")
        if len(pictures) > MOST:
            raise UserError(f"{len(pictures)} pictures of {character}: give at most {MOST}, varied ones")
        result, heads, names = Enrolment(), [], []
        for name, head in _usable(recognizer, pictures, result):
            heads.append(head)
            names.append(name)
        if not heads:
            why = f" ({result.left_out[0][0]}: {result.left_out[0][1]})" if result.left_out else ""
            raise UserError(f"no usable head of {character}{why}: give pictures that show one head each")
        for name, head in zip(names, recognizer.name_heads(heads)):
            if head.verdict == "known" or head.candidates[0].probability >= SURE:
                result.look_alikes.append((name, head))
        result.heads = len(heads)

        own = folder / ENROLLED / folder_name(character)
        part = own.with_name(f"{own.name}.part")
        shutil.rmtree(part, ignore_errors=True)  # half of one
        shutil.rmtree(own, ignore_errors=True)  # whole, but the listing was never written
        embeddings = recognizer.embed([head.picture for head in heads])
        gallery.write(part, embeddings, [character] * len(heads), [Image.fromarray(head.picture) for head in heads])
        said = {"character": character, "series": series, "pictures": [Path(name).name for name in names]}
        (part / CHARACTER).write_text(json.dumps(said, ensure_ascii=False), "utf-8")
        part.rename(own)
        listed = [*recognizer.bundle.listing["files"], *(f"{ENROLLED}/{own.name}/{file.name}" for file in own.iterdir())]
        write_listing(folder, recognizer.bundle.listing["source"], listed)
        return result


def remove(folder: Path, character: str) -> None:
    """Take an enrolled character out; every file is then as it was before. Raises UserError where it was not enrolled."""
    with _changing(folder):
        bundle, own = read_bundle(folder), folder / ENROLLED / folder_name(character)
        if own not in bundle.enrolled:
            known = character in dict(bundle.characters)
            why = "was learned in training and can't be taken out" if known else "is not in it"
            raise UserError(
                f"{character} {why}: {folder} has enrolled {', '.join(enrolled_names(bundle.enrolled)) or 'nobody'}"
            )
        files = [name for name in bundle.listing["files"] if not name.startswith(f"{ENROLLED}/{own.name}/")]
        write_listing(folder, bundle.listing["source"], files)
        shutil.rmtree(own)
        if not any(own.parent.iterdir()):
            own.parent.rmdir()


def enrolled_names(folders: Sequence[Path]) -> list[str]:
    return [json.loads((one / CHARACTER).read_text("utf-8"))["character"] for one in folders]


def folder_name(character: str) -> str:
    """A name that any file system takes, the same for the same character."""
    return hashlib.sha256(character.encode()).hexdigest()[:16]


def _usable(recognizer: Recognizer, pictures: Sequence[Path], result: Enrolment) -> Iterator[tuple[str, FoundHead]]:
    hashes: dict[str, np.ndarray] = {}
    for path in pictures:
        try:
            found = recognizer.find(path)
        except (PictureError, OSError) as error:
            result.left_out.append((str(path), str(error)))
            continue
        if len(found) != 1:
            result.left_out.append((str(path), f"{len(found)} heads found" if found else "no head found"))
            continue
        picture = Image.fromarray(found[0].picture)
        mine = difference_hash(picture), difference_hash(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
        twin = next((name for name, other in hashes.items()
                     if min(np.bitwise_count(other ^ one).sum() for one in mine) <= SAME_BITS), None)  # fmt: skip
        if twin:
            result.left_out.append((str(path), f"duplicate of {twin}"))
            continue
        hashes[str(path)] = mine[0]
        yield str(path), found[0]


@contextmanager
def _changing(folder: Path) -> Iterator[None]:
    """One process at a time changes a bundle."""
    if not folder.is_dir():
        raise UserError(f"{folder} is no bundle's folder: enrolment changes a folder; copy a registered bundle with --output")
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
