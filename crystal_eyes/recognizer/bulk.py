"""Enrolls all characters of a dataset, as many as they are, into the gallery of a bundle.

Characters are written some at a time, each as a whole. An interrupted run goes on when it is repeated; of a dataset that has
grown, it looks at the characters only whose pictures have changed.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crystal_eyes.data.cropping import head_bytes
from crystal_eyes.data.layouts import load_dataset
from crystal_eyes.errors import UserError
from crystal_eyes.images import PictureError
from crystal_eyes.names import normalize_name, normalize_text
from crystal_eyes.progress import track
from crystal_eyes.recognizer import gallery
from crystal_eyes.recognizer.characters import Known, characters_of
from crystal_eyes.recognizer.enrollment import MAX_HEADS, QUALITY, SIDE, Enrollment, HeadCrop, locked, usable
from crystal_eyes.recognizer.recognizer import Recognizer
from crystal_eyes.recognizer.shard import NewCharacter
from crystal_eyes.recognizer.stored import StoredCharacters, create_stored

SECONDS = 5.0  # between transactions: what an interruption loses
MIN_CONFIDENCE = 0.0  # of the boxes of a dataset: all


@dataclass
class BulkReport:
    """What was done with the characters of a dataset."""

    added: int = 0  # characters that are new, or have new heads
    heads: int = 0  # of these, new ones
    unchanged: int = 0  # characters that had been looked at before
    left_out: list[tuple[str, str]] = field(default_factory=list)  # picture or character, why


def enroll_dataset(folder: Path, dataset: Path, head: bool = False) -> BulkReport:
    """Add the characters of a dataset (a folder per character, or a table) to the bundle in folder, with progress on stderr.

    head: every picture without a box is one head, which is not searched for. A picture that the bundle has already is left out
    if it is one of a trained character or, of enrolled ones, the same to the last pixel. Raises UserError, without any change:
    no such dataset.
    """
    found, report = load_dataset(dataset, MIN_CONFIDENCE), BulkReport()
    report.left_out += [(str(file), why) for file, why in found.left_out]
    groups = found.table.groupby(["character", "series"], sort=False)
    with locked(folder):
        recognizer = Recognizer.load(folder)
        stored = create_stored(recognizer.bundle, recognizer.embed([]).shape[1])
        recognizer.naming.stored = None  # a search for each head would take longer than the heads themselves
        taken = {(one.character, its): one for one in characters_of(recognizer.bundle) for its in ("", one.series)}
        new: list[NewCharacter] = []
        seen: list[tuple[str, str, bytes]] = []
        last = time.monotonic()
        for (character, series), rows in track(groups, groups.ngroups, "enroll", "characters"):
            try:
                key = normalize_name(str(character)), normalize_text(str(series))
            except UserError as error:
                report.left_out.append((str(character), str(error)))
                continue
            if key in taken:
                its = "in a folder of its own" if taken[key].folder else "as a trained character"
                report.left_out.append((str(taken[key]), f"already in the bundle {its}"))
                continue
            made_from = _digest(rows)
            if stored.was_seen(*key, made_from):
                report.unchanged += 1
                continue
            one = _character(recognizer, stored, *key, rows, head, report)
            if one is None:
                seen.append((*key, made_from))
            else:
                new.append(replace(one, seen=made_from))
            if time.monotonic() - last > SECONDS:
                stored.put(new, seen)
                new, seen, last = [], [], time.monotonic()
        stored.put(new, seen)
    return report


def _character(
    recognizer: Recognizer, stored: StoredCharacters, name: str, series: str, rows: Any, head: bool, report: BulkReport
) -> NewCharacter | None:
    """A character to be written, with the heads it had before; None if there is no new head."""
    old = next((one for one in stored.named(name, series) if (one.character, one.series) == (name, series)), None)
    own = old or Known(name, series)
    room = MAX_HEADS - (old.heads or 0 if old else 0)
    result = Enrollment(name, series)
    pictures = list(_pictures(rows, result))
    if len(pictures) > room:
        result.left_out += [(str(one), f"more than {MAX_HEADS} heads of {own}") for one in pictures[room:]]
    names, heads, embeddings = usable(recognizer, pictures[:room], head, own, result)
    thumbnails = [gallery.thumbnail(Image.fromarray(one.picture), SIDE, QUALITY) for one in heads]
    keep = []
    for row, thumbnail in enumerate(thumbnails):
        if other := stored.having(thumbnail):
            if other != (name, series):
                result.left_out.append((names[row], f"the bundle has this head as {Known(*other)}"))
        else:
            keep.append(row)
    report.left_out += result.left_out
    if not keep:
        return None
    report.added += 1
    report.heads += len(keep)
    kept_names, kept_thumbnails = [Path(names[row]).name for row in keep], [thumbnails[row] for row in keep]
    embeddings = embeddings[keep]
    if old:
        before = stored.pictures_of(old)
        kept_names = [*(name for name, _ in before), *kept_names]
        kept_thumbnails = [*(data for _, data in before), *kept_thumbnails]
        embeddings = np.concatenate([stored.embeddings_of(old), embeddings])
    return NewCharacter(name, series, kept_names, embeddings, kept_thumbnails, old)


def _pictures(rows: Any, result: Enrollment) -> Iterator[Path | HeadCrop]:
    """The pictures of a character; of one with a box the head alone."""
    for path, file, box in zip(rows["path"], rows["file"], rows["box"]):
        if box is None:
            yield Path(path)
            continue
        try:
            yield HeadCrop(file, head_bytes(path, box))
        except (PictureError, OSError) as error:
            result.left_out.append((file, str(error)))


def _digest(rows: Any) -> bytes:
    """Changes with the pictures of a character: their names, sizes, times and boxes."""
    found = hashlib.blake2b(digest_size=16)
    for path, box in sorted(zip(rows["path"], map(repr, rows["box"]))):
        try:
            status = os.stat(path)
            found.update(repr((path, box, status.st_size, status.st_mtime_ns)).encode())
        except OSError:
            found.update(repr((path, box)).encode())
    return found.digest()
