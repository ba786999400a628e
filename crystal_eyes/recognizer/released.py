"""The released bundle, and the characters that a user enrolls into it.

They are kept in the user's folder and applied on top of the released bundle, so that they survive its upgrade: their heads are
kept as pictures, and embedded again by an encoder that has changed.
"""

import errno
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from crystal_eyes.errors import UserError, said
from crystal_eyes.progress import track
from crystal_eyes.recognizer.bundle import ENCODER, MANY, OutdatedError, read_bundle, write_listing
from crystal_eyes.recognizer.enrolled_files import count_enrolled, described, listed_files, remove_unlisted, write_character
from crystal_eyes.recognizer.enrolled_logits import read_enrolled_logits
from crystal_eyes.recognizer.enrollment import locked
from crystal_eyes.recognizer.gallery import Gallery, decoded
from crystal_eyes.recognizer.places import LISTING, RELEASED, has_listing, released_folder, user_folder
from crystal_eyes.recognizer.recognizer import Recognizer
from crystal_eyes.recognizer.shard import NewCharacter, Shard, empty_shard
from crystal_eyes.recognizer.stored import encoder_of, shard_name

AT_ONCE = 32  # characters that are embedded again together
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def released_bundle() -> Path:
    """The folder of the released bundle, or of the characters enrolled into it if there are any.

    Those of an earlier release are renewed first. Raises UserError: this installation has no released bundle.
    """
    released, own = released_folder(), user_folder()
    if released is None:
        raise UserError("this installation has no released recognizer")
    if own is None or not has_listing(own):
        return released
    try:
        if _is_outdated(own, released):
            count = renew(own)
            what = f"{count} enrolled {'character' if count == 1 else 'characters'}"
            print(f"the released recognizer has changed: embedded {what} again", file=sys.stderr)
    except OSError as error:  # recognition does not depend on a writable home
        why = f"they belong to an earlier release and can't be renewed ({said(error)})"
        print(f"without the enrolled characters in {own}: {why}", file=sys.stderr)
        return released
    return own


def renew(folder: Path) -> int:
    """Embed the heads of all enrolled characters again, with the encoder of the released bundle. Returns their number."""
    with locked(folder):
        try:
            return count_enrolled(read_bundle(folder))  # another process was faster
        except OutdatedError as error:
            bundle = error.bundle
        assert bundle.base
        recognizer, files = Recognizer(bundle.base), []
        for old in bundle.enrolled:
            heads = Gallery([old])
            embeddings = recognizer.embed([np.asarray(heads.picture(row)) for row in range(len(heads.characters))])
            files += listed_files(write_character(bundle, described(old), embeddings, heads.thumbnails))
        source: dict[str, Any] = {"source": {"encoder": encoder_of(bundle.base)}}
        count = len(bundle.enrolled)
        for number, one in enumerate(bundle.many):
            old_shard, many = Shard(one), folder / shard_name(encoder_of(bundle.base), number)
            _renew_shard(old_shard, many, recognizer)
            source[MANY] = [*source.get(MANY, []), many.name]
            count += len(old_shard)
        replace(bundle, listing=bundle.listing | source).relist(files)
        remove_unlisted(folder)
        for one in bundle.many:
            shutil.rmtree(one, ignore_errors=True)
        return count


def _renew_shard(old: Shard, folder: Path, recognizer: Recognizer) -> None:
    """Write the characters of a shard, embedded again, to a folder. Interrupted, it goes on where it was."""
    base = recognizer.bundle
    if (folder / Shard.DATABASE).is_file():
        new = Shard(folder)
    else:
        shutil.rmtree(folder, ignore_errors=True)
        new = empty_shard(folder, encoder_of(base), old.dimensions)
    known, logits = list(old.known())[len(new) :], read_enrolled_logits(base)  # both are in the order in which they were added
    for start in track(range(0, len(known), AT_ONCE), -(-len(known) // AT_ONCE), "embed enrolled characters again", "batches"):
        again = []
        for one in known[start : start + AT_ONCE]:
            pictures = old.pictures_of(one.stored or 0)
            embeddings = recognizer.embed([np.asarray(decoded(data)) for _, data in pictures])
            names, thumbnails = [name for name, _ in pictures], [data for _, data in pictures]
            again.append(NewCharacter(one.character, one.series, names, embeddings, thumbnails))
        new.put(again, logits)


@contextmanager
def enrollment_folder() -> Iterator[Path]:
    """Context: the folder in which characters are enrolled into the released bundle, created if need be.

    It is removed again if nothing was enrolled. Raises UserError: it can't be written.
    """
    released_bundle()  # renews what is there
    folder = user_folder()
    if folder is None:
        raise UserError("there is no home folder to keep enrolled characters in: set XDG_DATA_HOME to a folder")
    is_new = not has_listing(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        with locked(folder):
            if not has_listing(folder):
                encoder = read_bundle(released_folder() or "").listing["files"][ENCODER]
                write_listing(folder, {"encoder": encoder}, [], trained=RELEASED)
    except OSError as error:
        if error.errno in FULL:
            raise
        raise UserError(
            f"enrolled characters are kept in {folder}, which can't be written ({said(error)}): make it writable, "
            "or set XDG_DATA_HOME to another folder"
        ) from None
    try:
        yield folder
    finally:
        listing = json.loads((folder / LISTING).read_text("utf-8"))
        if is_new and not listing["files"] and MANY not in listing:
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # it holds more
                folder.parent.rmdir()


def _is_outdated(own: Path, released: Path) -> bool:
    """Whether enrolled characters were embedded with another encoder than the released one, by the listings alone."""
    try:
        mine, theirs = (json.loads((folder / LISTING).read_text("utf-8")) for folder in (own, released))
        return mine["source"]["encoder"] != theirs["files"][ENCODER]
    except (ValueError, KeyError, TypeError):  # damaged: reading it says so
        return False
