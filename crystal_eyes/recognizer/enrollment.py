"""Adds a character to a bundle from a few heads, without training, and removes it without a trace.

An enrolled character has its own folder in `enrolled`; apart from that, only the listing changes.
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

MAX_HEADS = 50  # of a character
DUPLICATE_BITS = 6  # of 256: pictures whose hashes differ in at most this many bits are duplicates
LOOK_ALIKE = 0.5  # probability from which a head looks like another character


@dataclass
class Enrollment:
    """What was done with the given pictures."""

    heads: int = 0  # that were enrolled
    left_out: list[tuple[str, str]] = field(default_factory=list)  # picture, why
    look_alikes: list[tuple[str, Head]] = field(default_factory=list)  # picture, its head named as a character known before


def enroll(folder: Path, character: str, series: str, pictures: Sequence[Path]) -> Enrollment:
    """Add a character to the bundle in folder from pictures with one head each.

    Raises UserError, without any change, on an empty or known name, no usable head, or more than MAX_HEADS pictures.
    """
    with _locked(folder):
        recognizer = Recognizer.load(folder)
        if not character.strip():
            raise UserError("the name of the character is empty: give one")
        if character in recognizer.naming.series:
            raise UserError(f"{character} is already in {folder}: choose another name, or remove it first")
        if len(pictures) > MAX_HEADS:
            raise UserError(f"too many pictures of {character} ({len(pictures)}): choose at most {MAX_HEADS} varied ones")
        result = Enrollment()
        heads: list[FoundHead] = []
        names: list[str] = []
        for name, head in _usable(recognizer, pictures, result):
            heads.append(head)
            names.append(name)
        if not heads:
            why = f" ({result.left_out[0][0]}: {result.left_out[0][1]})" if result.left_out else ""
            raise UserError(f"no usable head of {character}{why}: each picture must show exactly one head")
        for name, named in zip(names, recognizer.name_heads(heads)):
            if named.verdict == "known" or named.candidates[0].probability >= LOOK_ALIKE:
                result.look_alikes.append((name, named))
        result.heads = len(heads)

        own = folder / ENROLLED / folder_name(character)
        part = own.with_name(f"{own.name}.part")
        shutil.rmtree(part, ignore_errors=True)  # partial folder from an interrupted run
        shutil.rmtree(own, ignore_errors=True)  # complete, but from a run that was interrupted before it wrote the listing
        embeddings = recognizer.embed([head.picture for head in heads])
        gallery.write(part, embeddings, [character] * len(heads), [Image.fromarray(head.picture) for head in heads])
        described = {"character": character, "series": series, "pictures": [Path(name).name for name in names]}
        (part / CHARACTER).write_text(json.dumps(described, ensure_ascii=False), "utf-8")
        part.rename(own)
        listed = [*recognizer.bundle.listing["files"], *(f"{ENROLLED}/{own.name}/{file.name}" for file in own.iterdir())]
        write_listing(folder, recognizer.bundle.listing["source"], listed)
        return result


def remove(folder: Path, character: str) -> None:
    """Remove an enrolled character; all files are then as they were before. Raises UserError if it was not enrolled."""
    with _locked(folder):
        bundle, own = read_bundle(folder), folder / ENROLLED / folder_name(character)
        if own not in bundle.enrolled:
            known = character in dict(bundle.characters)
            why = "was trained, not enrolled, and can't be removed" if known else "is not in the bundle"
            raise UserError(f"{character} {why}; enrolled in {folder}: {', '.join(enrolled_names(bundle.enrolled)) or 'none'}")
        files = [name for name in bundle.listing["files"] if not name.startswith(f"{ENROLLED}/{own.name}/")]
        write_listing(folder, bundle.listing["source"], files)
        shutil.rmtree(own)
        if not any(own.parent.iterdir()):
            own.parent.rmdir()


def enrolled_names(folders: Sequence[Path]) -> list[str]:
    return [json.loads((one / CHARACTER).read_text("utf-8"))["character"] for one in folders]


def folder_name(character: str) -> str:
    """A folder name that is valid on any file system, the same for the same character."""
    return hashlib.sha256(character.encode()).hexdigest()[:16]


def _usable(recognizer: Recognizer, pictures: Sequence[Path], result: Enrollment) -> Iterator[tuple[str, FoundHead]]:
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
        own_hashes = difference_hash(picture), difference_hash(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
        twin = next((name for name, other in hashes.items()
                     if min(np.bitwise_count(other ^ one).sum() for one in own_hashes) <= DUPLICATE_BITS), None)  # fmt: skip
        if twin:
            result.left_out.append((str(path), f"duplicate of {twin}"))
            continue
        hashes[str(path)] = own_hashes[0]
        yield str(path), found[0]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Context: only one process at a time changes a bundle."""
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder: only a bundle in a folder can be changed")
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
