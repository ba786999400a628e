"""Digests of contents: of a file, a folder, a dataset. The name of the outermost folder doesn't count, contents do."""

import hashlib
import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from crystal_eyes.data.layouts import dataset_files
from pipeline.cache.remembered import recall, remember, stamps

MISSING = "missing"  # stands for a file that can't be read, so that a repaired file counts as changed


def digest_file(path: Path) -> str:
    """sha256 of a file's contents, hex, or MISSING."""
    return _digests([path])[0]


def digest_files(files: Iterable[Path], root: Path) -> str:
    """One digest of many files: their names below root (in any order) and their contents."""
    files = sorted(files)
    lines = [f"{os.path.relpath(path, root)}\0{digest}" for path, digest in zip(files, _digests(files))]
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()


def digest_path(path: Path) -> str:
    """The digest of a file or of a whole folder."""
    if path.is_file():
        return digest_file(path)
    return digest_files((p for p in path.rglob("*") if p.is_file()), path)


def digest_dataset(path: Path) -> str:
    """The digest of a dataset: its table, where it has one, and the images. Raises UserError where there is none."""
    path = path.expanduser().resolve()  # the same dataset under another name, or behind a link, is the same
    return digest_files(dataset_files(path), path.parent if path.is_file() else path)


def _digests(files: Sequence[Path]) -> list[str]:
    """sha256 of each file's contents, or MISSING. Reads only what was not hashed on this machine before."""
    looked_at, paths = time.time_ns(), [os.path.abspath(file) for file in files]
    stamped = stamps(paths)
    known = recall(stamped)
    unknown = [path for path in stamped if path not in known]
    if len(unknown) > 1:
        with ThreadPoolExecutor() as pool:
            hashed = dict(zip(unknown, pool.map(_hash, unknown)))
    else:
        hashed = {path: _hash(path) for path in unknown}
    remember(stamped, {path: digest for path, digest in hashed.items() if digest != MISSING}, looked_at)
    return [known.get(path) or hashed.get(path, MISSING) for path in paths]


def _hash(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return MISSING
