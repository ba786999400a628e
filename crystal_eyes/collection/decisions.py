"""What a user decided about the heads of a collection: which are one character, which are not, and her name.

It is kept in the collection's database, by the content of a picture and the place of the head in it: a file that is moved and
indexed again keeps its names.
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from crystal_eyes.collection.storage import Storage
from crystal_eyes.errors import UserError

# number: one character; heads of two numbers are never grouped together. name: "" where she has none yet
SCHEMA = (
    "CREATE TABLE IF NOT EXISTS characters "
    "(number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, series TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS decided (head BLOB PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID",
)


class Named(NamedTuple):
    """A character as the user named her."""

    name: str
    series: str  # "" where unknown


def head_key(id: int, digest: bytes | None, box: np.ndarray) -> bytes:
    """What a head is known by. digest: of its picture, None for moments of videos; box: float32 [4]."""
    return digest + box.astype("<f4").tobytes() if digest else b"head %d" % id


def decided(storage: Storage, keys: Sequence[bytes]) -> tuple[np.ndarray, dict[int, Named]]:
    """int64 [n]: the character of each of these heads, -1 where nothing is decided; and the characters by number."""
    if not _exists(storage):
        return np.full(len(keys), -1), {}
    numbers = dict(storage.query("SELECT head, number FROM decided"))
    characters = {number: Named(name, series) for number, name, series in storage.query("SELECT * FROM characters")}
    return np.array([numbers.get(key, -1) for key in keys], np.int64), characters


def decide(storage: Storage, keys: Sequence[bytes], character: Named | int | None) -> int:
    """Keep that these heads are one character: one with a name, an existing number, or None: a new one without a name.

    Returns her number. Raises UserError where the collection can't be changed.
    """
    with storage.locked():
        try:
            with storage.transaction() as db:
                for table in SCHEMA:
                    db.execute(table)
                number = character if isinstance(character, int) else _number(db, character)
                db.executemany("INSERT OR REPLACE INTO decided VALUES (?, ?)", ((key, number) for key in keys))
                return number
        except sqlite3.OperationalError as error:
            if "readonly" in str(error):
                raise UserError(f"the collection {storage.folder} can't be changed: it is read-only here") from None
            raise


def rename(storage: Storage, number: int, named: Named) -> None:
    """Give a character that has no name one."""
    with storage.locked(), storage.transaction() as db:
        db.execute("UPDATE characters SET name = ?, series = ? WHERE number = ?", (*named, number))


def _number(db: sqlite3.Connection, named: Named | None) -> int:
    if named:
        found = db.execute("SELECT number FROM characters WHERE name = ? AND series = ?", named).fetchone()
        if found:
            return int(found[0])
    return int(db.execute("INSERT INTO characters (name, series) VALUES (?, ?)", named or ("", "")).lastrowid or 0)


def _exists(storage: Storage) -> bool:
    return bool(storage.query("SELECT 1 FROM sqlite_master WHERE name = 'decided'"))
