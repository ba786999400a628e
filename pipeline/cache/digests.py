"""Digests of contents: of a file, a folder, a dataset. Names of the outermost folder don't count, contents do."""

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from crystal_eyes.data.layouts import dataset_files


def digest_file(path: Path) -> str:
    """sha256 of a file's contents, hex; "missing" where it can't be read, so that a repaired file counts as changed."""
    try:
        stat = path.stat()
        return _digest_file(path, stat.st_mtime_ns, stat.st_size)
    except OSError:
        return "missing"


@cache
def _digest_file(path: Path, mtime: int, size: int) -> str:
    # one process looks at the same big output several times
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_files(files: Iterable[Path], root: Path) -> str:
    """One digest of many files: their names below root (any order) and their contents."""
    files = sorted(files)
    with ThreadPoolExecutor() as pool:
        digests = pool.map(digest_file, files)
        lines = [f"{os.path.relpath(path, root)}\0{digest}" for path, digest in zip(files, digests)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def digest_path(path: Path) -> str:
    """The digest of a file or of a whole folder."""
    if path.is_file():
        return digest_file(path)
    return digest_files((p for p in path.rglob("*") if p.is_file()), path)


def digest_dataset(path: Path) -> str:
    """The digest of a dataset: its table, where it has one, and the pictures. Raises UserError where there is none."""
    path = path.expanduser().resolve()  # the same dataset under another name, or behind a link, is the same
    return digest_files(dataset_files(path), path.parent if path.is_file() else path)
