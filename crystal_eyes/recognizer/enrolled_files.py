"""Where the enrolled characters of a bundle are kept: up to MOST_FOLDERS in a folder each, further ones in stored.py.

The name of a folder is a digest of what is in it: a change writes a new folder, then switches the listing in one step, then
removes the old folder, so that whoever reads the bundle meanwhile, and whatever interrupts the change, finds either the old
bundle or the new one.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crystal_eyes.recognizer import gallery
from crystal_eyes.recognizer.bundle import CHARACTER, ENROLLED, LISTING, Bundle
from crystal_eyes.recognizer.characters import Known, characters_of
from crystal_eyes.recognizer.shard import NewCharacter
from crystal_eyes.recognizer.stored import create_stored, open_stored

MOST_FOLDERS = 500  # of a bundle: opening one takes 2 ms a folder, and each enrollment writes the listing of all


@dataclass(frozen=True)
class Kept:
    """What is kept of n heads of an enrolled character."""

    names: list[str]  # of their pictures; may be fewer in older bundles
    embeddings: np.ndarray  # float32 [n, d], unit length
    thumbnails: list[bytes]  # WebP


def enrolled_characters(bundle: Bundle) -> Iterator[Known]:
    """All enrolled characters of a bundle."""
    yield from (one for one in characters_of(bundle) if one.folder)
    if stored := open_stored(bundle):
        yield from stored.known()


def count_enrolled(bundle: Bundle) -> int:
    stored = open_stored(bundle)
    return len(bundle.enrolled) + (len(stored) if stored else 0)


def kept(bundle: Bundle, own: Known) -> Kept:
    """What is kept of an enrolled character."""
    if own.stored is not None:
        stored = open_stored(bundle)
        assert stored
        pictures = stored.pictures_of(own)
        return Kept([name for name, _ in pictures], stored.embeddings_of(own), [data for _, data in pictures])
    assert own.folder
    heads = gallery.Gallery([own.folder])
    return Kept(described(own.folder).get("pictures", []), heads.embeddings, heads.thumbnails)


def keep(bundle: Bundle, old: Known | None, character: str, series: str, heads: Kept) -> None:
    """Write an enrolled character, in place of `old` if that is given."""
    if (old.stored is not None) if old else bundle.many or len(bundle.enrolled) >= MOST_FOLDERS:
        new = NewCharacter(character, series, heads.names, heads.embeddings, heads.thumbnails, old)
        create_stored(bundle, heads.embeddings.shape[1]).put([new])
    else:
        description = {"character": character, "series": series, "pictures": heads.names}
        _replace(bundle, old.folder if old else None, description, heads.embeddings, heads.thumbnails)


def rename(bundle: Bundle, own: Known, character: str) -> None:
    """Give an enrolled character another name."""
    if own.stored is not None:
        if stored := open_stored(bundle):
            stored.rename(own, character)
    elif own.folder:
        heads = gallery.Gallery([own.folder])
        _replace(bundle, own.folder, described(own.folder) | {"character": character}, heads.embeddings, heads.thumbnails)


def drop(bundle: Bundle, own: Known) -> None:
    """Remove an enrolled character; all files are then as they were before, but for those of stored.py."""
    if own.stored is not None:
        if stored := open_stored(bundle):
            stored.remove(own)
    else:
        _switch(bundle, own.folder, None)
        remove_unlisted(bundle.folder)


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
