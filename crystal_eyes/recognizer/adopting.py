"""Takes over all characters that were enrolled into another bundle, on another machine perhaps, without embedding them again.

Its shards are copied as they are and become shards of this bundle. They are copied to folders that the listing does not name,
and checked there: until the listing is written, in one step, nothing has changed.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crystal_eyes.errors import UserError
from crystal_eyes.progress import track
from crystal_eyes.recognizer.bundle import MANY, Bundle, read_bundle
from crystal_eyes.recognizer.characters import Known, characters_of
from crystal_eyes.recognizer.enrolled_files import kept
from crystal_eyes.recognizer.enrolled_logits import read_enrolled_logits
from crystal_eyes.recognizer.enrollment import locked
from crystal_eyes.recognizer.places import has_listing
from crystal_eyes.recognizer.shard import NewCharacter, Shard, empty_shard
from crystal_eyes.recognizer.stored import encoder_of, find, next_folder
from crystal_eyes.vector_store import copy_stores

CHUNK = 64_000_000  # bytes that are copied at a time


@dataclass(frozen=True)
class Adopted:
    """What was taken over."""

    characters: int
    heads: int
    before: int  # characters that were there with the same heads


def can_be_adopted(folder: Path) -> bool:
    """Whether a folder is a bundle or a gallery of enrolled characters."""
    return has_listing(folder) or (folder / Shard.DATABASE).is_file()


def adopt(folder: Path, source: Path) -> Adopted:
    """Add all characters that were enrolled into another bundle, or are in a gallery of one, to the bundle in folder.

    Characters that are there with the same heads are left out. Raises UserError, without any change: the same bundle, another
    encoder, a gallery that is not complete, a character that is there with other heads.
    """
    if source.resolve() == folder.resolve() or source.resolve().parent == folder.resolve():
        raise UserError(f"{source} belongs to {folder} already: give another bundle")
    with locked(folder):
        bundle = read_bundle(folder)
        other = read_bundle(source) if has_listing(source) else None
        shards = [Shard(one) for one in (other.many if other else [source])]
        for encoder in {encoder_of(other)} if other else {shard.encoder for shard in shards}:
            if encoder != encoder_of(bundle):
                raise UserError(
                    f"{source} was made with the encoder {encoder[:12]}, {folder} has {encoder_of(bundle)[:12]}: enroll its "
                    "characters from their pictures"
                )
        try:  # before they are copied, which takes long
            before = {shard.folder: _known_before(bundle, shard, source) for shard in shards}
        except sqlite3.DatabaseError as error:
            raise UserError(f"{source} is damaged ({error}): copy it again") from None
        total = sum(map(len, shards)) + (len(other.enrolled) if other else 0)
        if not total:
            raise UserError(f"no character was enrolled into {source}: give another bundle")
        shards = [shard for shard in shards if len(before[shard.folder]) < len(shard)]
        new = list(_in_folders(bundle, other, source)) if other else []
        with _parts(bundle, len(shards) + 1) as parts:
            copy_stores({shard.folder: part for shard, part in zip(shards, parts)}, _copy)
            copies = [Shard(part) for part in parts[: len(shards)]]
            for copy in track(copies, len(copies), "check", "galleries") if copies else ():
                copy.require_complete()
                copy.remove([one.stored for one in _known_before(bundle, copy, source) if one.stored is not None])
            if new:
                copies.append(empty_shard(parts[-1], encoder_of(bundle), new[0].embeddings.shape[1]))
                copies[-1].put(new, read_enrolled_logits(bundle))
            count, heads = sum(map(len, copies)), sum(copy.count_heads() for copy in copies)
            names: list[str] = []
            for copy in copies:
                copy.close()
                names.append(next_folder(bundle, len(names)).name)
                copy.folder.rename(folder / names[-1])
            if names:
                bundle.use_many(names)
    return Adopted(count, heads, total - count)


def _known_before(bundle: Bundle, shard: Shard, source: Path) -> list[Known]:
    """The characters of a shard that a bundle has with the same heads. Raises UserError: it has one with other heads."""
    found = [pair for one in bundle.many for pair in shard.also_in(Shard(one))]
    for one in characters_of(bundle):
        for own in shard.known_where("(character, series) = (?, ?)", (one.character, one.series)):
            found.append((own, _same(bundle, one, shard.embeddings_of(own.stored or 0))))
    _require_same(found, bundle, source)
    return [own for own, _ in found]


def _in_folders(bundle: Bundle, other: Bundle, source: Path) -> Iterator[NewCharacter]:
    """The characters that another bundle has in folders, and this one lacks. Raises UserError like _known_before."""
    for own in (one for one in characters_of(other) if one.folder):
        heads = kept(other, own)
        there = [one for one in find(bundle, own.character, own.series) if str(one) == str(own)]
        _require_same([(one, _same(bundle, one, heads.embeddings)) for one in there], bundle, source)
        if not there:
            names = [*heads.names, *[""] * len(heads.thumbnails)][: len(heads.thumbnails)]  # older bundles name none
            yield NewCharacter(own.character, own.series, names, heads.embeddings, heads.thumbnails)


def _same(bundle: Bundle, one: Known, embeddings: np.ndarray) -> bool:
    return one.folder is not None and np.array_equal(kept(bundle, one).embeddings, embeddings)


def _require_same(found: Sequence[tuple[Known, bool]], bundle: Bundle, source: Path) -> None:
    names = [str(one) for one, same in found if not same]
    if names:
        more = f" and {len(names) - 1:,} more are" if len(names) > 1 else " is"
        raise UserError(
            f"{names[0]}{more} in {source} and, from other heads, in {bundle.folder}: rename or remove in one of them"
        )


@contextmanager
def _parts(bundle: Bundle, count: int) -> Iterator[list[Path]]:
    """Context: so many folders for copies, which do not exist yet. They are removed after it."""
    parts = [bundle.folder / f"{MANY}-{number}.part" for number in range(count)]
    try:
        for part in parts:  # from a process that was killed
            shutil.rmtree(part, ignore_errors=True)
        yield parts
    finally:
        for part in parts:
            shutil.rmtree(part, ignore_errors=True)


def _copy(file: Path, target: Path) -> None:
    """Copy a file, with progress if it is large."""
    chunks = range(0, file.stat().st_size, CHUNK)
    with open(file, "rb") as read, open(target, "wb") as write:
        for _ in track(chunks, len(chunks), f"copy {file.name}", f"x {CHUNK // 1_000_000} MB") if len(chunks) > 1 else chunks:
            write.write(read.read(CHUNK))
        write.flush()
        os.fsync(write.fileno())
