"""Folders on this machine for data that outlives a process without being a result: drawn casts, checkpoints, locks."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from crystal_eyes.paths import cache_home


@contextmanager
def only_one(name: str, waiting: str) -> Iterator[None]:
    """Hold the machine-wide lock `name`; a second process prints `waiting` and waits. A killed process releases it."""
    folder = cache_home() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if waiting:
            print(waiting, flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def workspace(key: str) -> Iterator[Path]:
    """A folder for the work under one cache key. Kept if the work is interrupted, so that it can resume; removed when done."""
    folder = cache_home() / "work" / key
    with only_one(key, "the same step with the same inputs is already running on this machine: waiting for it"):
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        shutil.rmtree(folder, ignore_errors=True)


def discard(key: str) -> None:
    """Remove the folder of work that will not be resumed, once its process has ended."""
    with only_one(key, ""):
        shutil.rmtree(cache_home() / "work" / key, ignore_errors=True)
