"""Looks into one file: which pictures it has, and what a collection is to keep of them. Knows nothing of the collection."""

import hashlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from crystal_eyes.collection import videos
from crystal_eyes.collection.archives import PictureArchive
from crystal_eyes.collection.changes import Change, KnownFile, NewHead
from crystal_eyes.collection.places import address, is_stored
from crystal_eyes.collection.sources import SourceFile
from crystal_eyes.data.storage import Place, StorageError
from crystal_eyes.errors import UserError, said
from crystal_eyes.image_stats import is_monochrome
from crystal_eyes.images import PictureError
from crystal_eyes.recognizer.embedding import EmbeddedHeads
from crystal_eyes.recognizer.pictures import MAX_BYTES

DIGEST = 16  # bytes

Looked = Iterator[tuple[Change, bytes | np.ndarray | None]]


class Part(NamedTuple):
    """Pictures that are looked at one after the other: a file that is a picture, members of an archive, the rest of a video."""

    file: SourceFile
    known: KnownFile | None = None  # of a picture: what the collection has
    digest: bytes | None = None  # of an archive or a video
    names: tuple[str, ...] = ()  # of members
    after: float = -1.0  # seconds: later moments of a video
    starts: bool = True  # it is the first part of the file, and what the collection has of it is replaced
    ends: bool = True  # it is the last one


def look_into(part: Part, copied: Callable[[Change], bool]) -> Looked:
    """What is to be changed, in order, each with the picture in which heads have still to be found (see `found`) or None.

    copied: fills in the heads of a picture whose digest the collection knows; whether it did. A file that can't be read is a
    change that says so. Raises StorageError: storage can't be used at present.
    """
    file, digest, error = part.file, part.digest, None
    try:
        if file.kind == "picture":
            yield from _picture(part, copied)
            return
        if part.starts:
            yield Change(file, digest, starts=True, is_picture=False), None
        if file.kind == "archive":
            yield from _members(part, copied)
        else:
            error = yield from _moments(part)
        if part.ends:
            yield Change(file, digest, ends=True, is_picture=False, error=error), None
    except OSError as error:
        yield unread(file, error), None


def unread(file: SourceFile, error: OSError) -> Change:
    """Nothing more is written of a file: the next run tries again."""
    return Change(file, None, is_picture=False, unread=said(error))


def unchanged(file: SourceFile, known: KnownFile) -> Change:
    """A file has another time, but the same content."""
    return Change(file, known.digest, ends=True, is_picture=False, unchanged=True, error=known.error)


def found(change: Change, result: EmbeddedHeads | PictureError | OSError) -> None:
    """Fill in what was found in a picture."""
    if isinstance(result, Exception):
        change.error = str(result)
        return
    change.embeddings = result.embeddings
    change.heads = [
        NewHead(head.box, head.confidence, head.whole_picture, is_monochrome(Image.fromarray(head.picture)))
        for head in result.heads
    ]


def _picture(part: Part, copied: Callable[[Change], bool]) -> Looked:
    file, known = part.file, part.known
    data = _read(file.path)
    digest = digest_of(data)
    if known and known.digest == digest:
        yield unchanged(file, known), None
        return
    change = Change(file, digest, starts=True, ends=True, picture_digest=digest)
    if len(data) > MAX_BYTES:
        change.error = f"too large: more than {MAX_BYTES // 1_000_000} MB"
        yield change, None
    else:
        yield change, None if copied(change) else data


def _read(file: Path) -> bytes:
    """The encoded picture, or its beginning if it is too large. Raises StorageError: the whole storage can't be used."""
    if not is_stored(file):
        with open(file, "rb") as opened:
            return opened.read(MAX_BYTES + 1)
    try:
        return Place(address(file.parent)).read_part(file.name, 0, MAX_BYTES + 1)
    except StorageError as error:
        Place(address(file)).level()  # raises it, unless it is about this picture only
        raise OSError(str(error).removeprefix(f"{address(file)}: ")) from None


def _members(part: Part, copied: Callable[[Change], bool]) -> Looked:
    try:
        archive = PictureArchive(part.file.path)
    except UserError as error:  # it could be read when its members were listed
        raise OSError(str(error)) from None
    try:
        if not set(part.names) <= set(archive.names):
            raise OSError("it was changed while it was read")
        for name in part.names:
            change = Change(part.file, part.digest, member=name)
            try:
                data = archive.read(name)
            except PictureError as error:
                change.error = str(error)
                yield change, None
                continue
            change.picture_digest = digest_of(data)
            yield change, None if copied(change) else data
    finally:
        archive.close()


def _moments(part: Part) -> Generator[tuple[Change, np.ndarray], None, str | None]:
    """Returns what is wrong with the video, None if nothing is."""
    try:
        for moment, picture in videos.frames(part.file.path, part.after):
            yield Change(part.file, part.digest, time=moment), picture
    except UserError as error:
        return str(error)
    return None


def digest_of(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=DIGEST).digest()


def digest_of_file(path: Path) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=DIGEST)).digest()
