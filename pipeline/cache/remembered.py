"""Digests of files that this machine has hashed before, so that no process reads an unchanged file again.

A file counts as unchanged while its path, size, modification time, change time and inode stay the same, as in git's index.
Programs can't set the change time back, so this also notices contents of equal size under a restored modification time. What it
doesn't notice is damage that the file system doesn't know of, such as a failing disk.

One SQLite database in the cache folder, safe between threads and processes. It only saves time: where it can't be read or
written, files are hashed again and nothing fails.
"""

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress

from crystal_eyes.paths import cache_home

RACY = 2 * 10**9  # nanoseconds: the coarsest time stamp of a file system (FAT's)
PATIENCE = 5.0  # seconds to wait for another process's write
CHUNK = 500  # paths a query
WORTH = 1_000_000  # bytes: less is hashed again sooner than the database is opened
DAY = 86_400  # seconds between two prunings

_in_process: dict[str, tuple[str, str]] = {}  # path -> stamp, digest


def stamps(paths: list[str]) -> dict[str, str]:
    """By path, what changes when a file's contents do. Files that can't be accessed are left out."""
    found = {}
    for path in paths:
        with suppress(OSError):
            stat = os.stat(path)
            found[path] = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"
    return found


def recall(stamped: Mapping[str, str]) -> dict[str, str]:
    """The digests that are known of files with these stamps, by path."""
    found = {path: _in_process[path][1] for path, stamp in stamped.items() if _in_process.get(path, ("",))[0] == stamp}
    missing = [path for path in stamped if path not in found]
    if _bytes(stamped[path] for path in missing) < WORTH:
        return found
    with suppress(OSError, sqlite3.Error), _database() as database:
        for start in range(0, len(missing), CHUNK):
            names = {os.fsencode(path): path for path in missing[start : start + CHUNK]}  # a name may be no text
            marks = ",".join("?" * len(names))
            for name, stamp, digest in database.execute(f"SELECT * FROM digests WHERE path IN ({marks})", list(names)):
                if stamped[names[name]] == stamp:
                    found[names[name]] = digest
                    _in_process[names[name]] = stamp, digest
    return found


def remember(stamped: Mapping[str, str], digests: Mapping[str, str], looked_at: int) -> None:
    """Keep the digests of files that had these stamps at the time `looked_at` (time.time_ns()), before they were hashed.

    Not of files that changed just before: a second change within the file system's clock tick would leave the same stamp.
    """
    settled = {path: (stamped[path], digest) for path, digest in digests.items()
               if max(map(int, stamped[path].split()[1:3])) < looked_at - RACY}  # fmt: skip
    _in_process.update(settled)
    if _bytes(stamp for stamp, _ in settled.values()) < WORTH:
        return
    with suppress(OSError, sqlite3.Error), _database() as database, database:
        rows = [(os.fsencode(path), stamp, digest) for path, (stamp, digest) in settled.items()]
        database.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?)", rows)
        _prune(database)


def _bytes(some: Iterable[str]) -> int:
    return sum(int(stamp.split()[0]) for stamp in some)


def _prune(database: sqlite3.Connection) -> None:
    """Once a day, forget files that are gone."""
    (last,), today = database.execute("PRAGMA user_version").fetchone(), int(time.time() // DAY)
    if last != today:
        gone = [(name,) for (name,) in database.execute("SELECT path FROM digests") if not os.path.lexists(name)]
        database.executemany("DELETE FROM digests WHERE path = ?", gone)
        database.execute(f"PRAGMA user_version = {today}")


@contextmanager
def _database() -> Iterator[sqlite3.Connection]:
    path = cache_home() / "digests.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    # a connection per call: it must not be shared with a forked process
    try:
        with closing(sqlite3.connect(path, timeout=PATIENCE)) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(
                "CREATE TABLE IF NOT EXISTS digests (path BLOB PRIMARY KEY, stamp TEXT, digest TEXT) WITHOUT ROWID"
            )
            yield database
    except sqlite3.OperationalError:  # locked, read-only, full disk: it may be intact
        raise
    except sqlite3.DatabaseError:  # damaged: the next call starts a new one
        for name in ("digests.db-wal", "digests.db-shm", "digests.db"):
            with suppress(OSError):
                (cache_home() / name).unlink()
        raise
