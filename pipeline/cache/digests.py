"""Digests of contents: of a file, a folder, a dataset. The name of the outermost folder doesn't count, contents do."""

import hashlib
import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from crystal_eyes.data.layouts import dataset_files
from pipeline.cache.remembered import recall, remember, stamps

GROUP = 8  # files that a thread hashes at a time
MISSING = "missing"  # stands for a file that can't be read, so that a repaired file counts as changed


def digest_file(path: Path) -> str:
    """sha256 of a file's contents, hex, or MISSING."""
    return _digests([path])[0]


def digest_files(files: Iterable[Path | str], root: Path) -> str:
    """One digest of many files: their names below root (in any order) and their contents."""
    paths, below = (
        sorted(os.fspath(file) for file in files),
        os.path.join(root, ""),
    )  # strings: a dataset may have 100,000 files
    names = [path[len(below) :] if path.startswith(below) else os.path.relpath(path, root) for path in paths]
    lines = [f"{name}\0{digest}" for name, digest in zip(names, _digests(paths))]
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()


def digest_path(path: Path) -> str:
    """The digest of a file or of a whole folder."""
    if path.is_file():
        return digest_file(path)
    files = (os.path.join(base, name) for base, _, names in os.walk(path) for name in names)
    return digest_files(filter(os.path.isfile, files), path)


def digest_dataset(path: Path) -> str:
    """The digest of a dataset: its table, where it has one, and the images. Raises UserError where there is none."""
    path = path.expanduser().resolve()  # the same dataset under another name, or behind a link, is the same
    return digest_files(dataset_files(path), path.parent if path.is_file() else path)


def _digests(files: Sequence[Path | str]) -> list[str]:
    """sha256 of each file's contents, or MISSING. Reads only what was not hashed on this machine before."""
    looked_at, names = time.time_ns(), [os.fspath(file) for file in files]
    paths = [name if os.path.isabs(name) else os.path.abspath(name) for name in names]
    stamped = stamps(paths)
    known = recall(stamped)
    unknown = [path for path in stamped if path not in known]
    groups = [unknown[start : start + GROUP] for start in range(0, len(unknown), GROUP)]
    if len(unknown) > 1:
        with ThreadPoolExecutor() as pool:
            hashed = dict(pair for group in pool.map(_hash_all, groups) for pair in group)
    else:
        hashed = dict(_hash_all(unknown))
    remember(stamped, {path: digest for path, digest in hashed.items() if digest != MISSING}, looked_at)
    return [known.get(path) or hashed.get(path, MISSING) for path in paths]


def _hash_all(paths: Sequence[str]) -> list[tuple[str, str]]:
    return [(path, _hash(path)) for path in paths]


def _hash(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return MISSING
