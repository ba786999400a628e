"""Paths as people write them, and the files in and below a folder."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote_to_bytes

from crystal_eyes.errors import UserError, said

WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\\w")  # a drive letter, or a network share
METADATA = "._"  # begins the names of files in which macOS keeps what other file systems can't
FILE_URI = re.compile(r"(?i:file):(//(?P<host>[^/]*))?(?P<path>/.*)", re.DOTALL)


def cache_home() -> Path:
    """The folder for data that outlives a process without being a result: CRYSTAL_EYES_CACHE, else in the cache of the user."""
    if own := os.environ.get("CRYSTAL_EYES_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "crystal-eyes"


def plain_path(text: str | Path) -> Path:
    """The path that a path, `~/...` or a `file:` URI names. Raises UserError: it is empty, or can't exist on this machine."""
    given = os.fspath(text)
    if not given:
        raise UserError("the path is empty")
    if uri := FILE_URI.fullmatch(given):
        if uri["host"] not in (None, "", "localhost"):
            raise UserError(f"{given} is on another machine ({uri['host']}): give a path on this one, as in file:///folder")
        given = os.fsdecode(unquote_to_bytes(os.fsencode(uri["path"])))
    if "\0" in given:
        raise UserError(f"{given[:80]!r} is not a path: it contains a null byte")
    path = Path(given)
    try:
        found = path.exists()
    except PermissionError:  # it exists, but in a folder that can't be searched
        return path
    except OSError as error:  # a name that is too long
        raise UserError(f"{given[:80]!r} is not a path: {said(error)}") from None
    if found:
        return path
    if os.name != "nt" and WINDOWS.match(given):
        raise UserError(f"{given} is a Windows path: give its path on this machine (in WSL, C:\\folder is /mnt/c/folder)")
    if given.startswith("~"):
        try:
            return path.expanduser()
        except RuntimeError:  # no such user
            return path
    return path


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Context: a path beside a file, for what takes its place in one step at the end. After an error nothing has changed."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    except OSError as error:
        if error.filename == str(part):
            error.filename = str(path)  # which the user knows
        raise
    finally:
        part.unlink(missing_ok=True)


def walk(
    folder: Path, skip: Callable[[str], bool], unreadable: Callable[[OSError], None] | None = None
) -> Iterator[tuple[Path, list[str]]]:
    """(folder, sorted names of its files), of a folder and all below it.

    Linked folders are entered too, but no folder twice, and none through a link if it can be reached without one. skip: names
    of files and folders that are left out. unreadable: called with the error for each folder that can't be read.
    """
    seen: set[tuple[int, int]] = set()
    pending = [folder]
    while pending:
        links: list[Path] = []
        for top in pending:
            for base, folders, names in os.walk(top, onerror=unreadable):
                identity = _identity(base)
                if identity in seen:
                    folders.clear()
                    continue
                seen.add(identity)
                folders[:] = sorted(name for name in folders if not skip(name))
                links += [Path(base, name) for name in folders if os.path.islink(os.path.join(base, name))]
                yield Path(base), sorted(name for name in names if not skip(name))
        pending = [link for link in links if not _leads_back(link)]


def _identity(folder: str) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _leads_back(link: Path) -> bool:
    """Whether a link names a folder that it lies in."""
    target = os.path.realpath(link)
    return os.path.commonpath([target, os.path.realpath(link.parent)]) == target
