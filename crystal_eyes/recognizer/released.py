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

import numpy as np

from crystal_eyes.errors import UserError
from crystal_eyes.recognizer.bundle import ENCODER, OutdatedError, read_bundle, write_listing
from crystal_eyes.recognizer.enrollment import described, listed_files, locked, remove_unlisted, write_character
from crystal_eyes.recognizer.gallery import Gallery
from crystal_eyes.recognizer.places import LISTING, RELEASED, has_listing, released_folder, user_folder
from crystal_eyes.recognizer.recognizer import Recognizer

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
        why = f"they belong to an earlier release and can't be renewed ({error.strerror or error})"
        print(f"without the enrolled characters in {own}: {why}", file=sys.stderr)
        return released
    return own


def renew(folder: Path) -> int:
    """Embed the heads of all enrolled characters again, with the encoder of the released bundle. Returns their number."""
    with locked(folder):
        try:
            return len(read_bundle(folder).enrolled)  # another process was faster
        except OutdatedError as error:
            bundle = error.bundle
        assert bundle.base
        recognizer, files = Recognizer(bundle.base), []
        for old in bundle.enrolled:
            heads = Gallery([old])
            embeddings = recognizer.embed([np.asarray(heads.picture(row)) for row in range(len(heads.characters))])
            files += listed_files(write_character(bundle, described(old), embeddings, heads.thumbnails))
        source = {"encoder": bundle.base.listing["files"][ENCODER]}
        replace(bundle, listing=bundle.listing | {"source": source}).relist(files)
        remove_unlisted(folder)
        return len(bundle.enrolled)


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
            f"enrolled characters are kept in {folder}, which can't be written ({error.strerror or error}): make it writable, "
            "or set XDG_DATA_HOME to another folder"
        ) from None
    try:
        yield folder
    finally:
        if is_new and not json.loads((folder / LISTING).read_text("utf-8"))["files"]:
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
