"""Which folder changes when a character is enrolled into a bundle."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from crystal_eyes.artifacts import is_uri
from crystal_eyes.errors import UserError
from crystal_eyes.paths import plain_path
from crystal_eyes.recognizer.bundle import copy_bundle
from crystal_eyes.recognizer.places import RELEASED
from crystal_eyes.recognizer.recognizer import bundle_folder
from crystal_eyes.recognizer.released import enrollment_folder


class StoredError(UserError):
    """The bundle is in a store and can't be changed."""


@contextmanager
def changeable(source: str) -> Iterator[Path]:
    """Context: the folder of a bundle in which characters can be enrolled; for the released one, the user's part of it.

    source: as Recognizer.load takes it. Raises StoredError; UserError: no bundle there, or its folder can't be written.
    """
    if source == RELEASED:
        with enrollment_folder() as folder:
            yield folder
        return
    folder = bundle_folder(source)
    if is_uri(source) or folder not in (plain_path(source), plain_path(source).parent):  # inside a registered model
        raise StoredError(f"{source} is stored by MLflow and can't be changed")
    yield folder


@contextmanager
def changed_copy(source: Path, output: Path) -> Iterator[Path]:
    """Context: a folder with a copy of a bundle, which becomes the output; where an error is raised, nothing is left of it.

    Raises UserError: the output exists.
    """
    if output.exists():
        raise UserError(f"{output} already exists: choose a new folder")
    part, above = output.with_name(f"{output.name}.part"), [folder for folder in output.parents if not folder.exists()]
    try:
        copy_bundle(source, part)
        yield part
        part.rename(output)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        for empty in above:
            with suppress(OSError):  # the output is in it
                empty.rmdir()
