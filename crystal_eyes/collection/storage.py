"""The folder of a collection: a SQLite database of pictures and heads, and the files of vectors.py.

collection.db  which encoder, the files that were looked at, their pictures, the heads in them: one transaction a change
lock           held by the process that changes the collection

New embeddings are written to rows that no head refers to, and are on the disk before the transaction that refers to them:
killed at any moment, a collection is as it was before or after a change.
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from crystal_eyes.collection.places import Place
from crystal_eyes.collection.vectors import Vectors
from crystal_eyes.errors import UserError

DATABASE, LOCK = "collection.db", "lock"
FORMAT = 1
SECONDS = 60.0  # that a reader waits while a writer writes
WHOLE_PICTURE, MONOCHROME = 1, 2  # of heads.flags
SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE folders (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE);
CREATE TABLE files (
    id INTEGER PRIMARY KEY, folder INTEGER NOT NULL, name BLOB NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    digest BLOB, complete INTEGER NOT NULL, error TEXT, UNIQUE (folder, name)
);
CREATE TABLE pictures (id INTEGER PRIMARY KEY, file INTEGER NOT NULL, member TEXT, time REAL, digest BLOB, error TEXT);
CREATE INDEX pictures_of_file ON pictures (file);
CREATE INDEX pictures_by_digest ON pictures (digest) WHERE digest IS NOT NULL;
CREATE TABLE heads (
    id INTEGER PRIMARY KEY AUTOINCREMENT, row INTEGER NOT NULL UNIQUE, picture INTEGER NOT NULL, box BLOB NOT NULL,
    confidence REAL NOT NULL, flags INTEGER NOT NULL
);
CREATE INDEX heads_of_picture ON heads (picture);
CREATE TABLE free (row INTEGER PRIMARY KEY);
"""
# an id is never given to another head, a row is


class StoredHead(NamedTuple):
    """A head as it is kept."""

    id: int
    row: int
    picture: int
    place: Place
    digest: bytes | None  # of the picture
    box: tuple[float, float, float, float]
    confidence: float
    whole_picture: bool
    monochrome: bool


class State(NamedTuple):
    """Changes with every change of the collection."""

    version: int
    rows: int
    dead: np.ndarray  # int64: rows that no head refers to


class Storage:
    """An open collection. Reading is safe from several threads; one process at a time changes it."""

    def __init__(self, folder: Path):
        """Open a collection. Raises UserError: there is none, it has another format, or it is damaged."""
        self.folder = folder
        if not (folder / DATABASE).is_file():
            raise UserError(f"{folder} is not a collection: it contains no {DATABASE}")
        self._guard = threading.RLock()
        try:
            self.db = self._connect()
            meta = dict(self.db.execute("SELECT key, value FROM meta"))
        except sqlite3.DatabaseError as error:
            raise UserError(f"{folder / DATABASE} can't be read ({error}): restore it, or index into a new folder") from None
        if meta.get("format") != FORMAT:
            raise UserError(f"the collection {folder} has format {meta.get('format')}, this version reads {FORMAT}")
        self.encoder: str = meta["encoder"]
        self.dimensions: int = meta["dimensions"]
        self.vectors = Vectors(folder, self.dimensions)
        self._state: State | None = None

    def _connect(self) -> sqlite3.Connection:
        path = self.folder / DATABASE
        if os.access(path, os.W_OK) and os.access(self.folder, os.W_OK):
            return sqlite3.connect(path, SECONDS, isolation_level=None, check_same_thread=False)
        # on a disk that can't be written, nobody else writes
        address = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
        return sqlite3.connect(address, SECONDS, isolation_level=None, check_same_thread=False, uri=True)

    @classmethod
    def create(cls, folder: Path, encoder: str, dimensions: int) -> Self:
        """Make an empty collection in a new or empty folder. encoder: digest of the encoder; dimensions: of its embeddings.

        Raises UserError: the folder holds something else; OSError: it can't be written.
        """
        own = (DATABASE, LOCK)  # also what an interrupted attempt left
        if folder.exists() and (not folder.is_dir() or any(not one.name.startswith(own) for one in folder.iterdir())):
            raise UserError(f"{folder} is not a collection and not empty: choose a new folder")
        with only_writer(folder):
            if not (folder / DATABASE).is_file():  # another process was faster
                cls._write_empty(folder, encoder, dimensions)
        return cls(folder)

    @staticmethod
    def _write_empty(folder: Path, encoder: str, dimensions: int) -> None:
        part = folder / f"{DATABASE}.part"
        part.unlink(missing_ok=True)
        db = sqlite3.connect(part, isolation_level=None)
        try:
            db.executescript(f"PRAGMA page_size = 16384; BEGIN; {SCHEMA}")
            values = {"format": FORMAT, "encoder": encoder, "dimensions": dimensions, "rows": 0}
            db.executemany("INSERT INTO meta VALUES (?, ?)", values.items())
            db.execute("COMMIT")
        except BaseException:
            db.close()
            part.unlink(missing_ok=True)
            raise
        db.close()
        part.replace(folder / DATABASE)

    def close(self) -> None:
        self.db.close()

    # reading

    def query(self, text: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a SELECT."""
        with self._guard:
            return self.db.execute(text, values).fetchall()

    def state(self) -> State:
        """The collection's state, and which of its rows to search."""
        with self._guard:
            (version,) = self.db.execute("PRAGMA data_version").fetchone()
            if self._state is None or self._state.version != version:
                found = self.db.execute("SELECT value FROM meta WHERE key = 'rows' UNION ALL SELECT row FROM free").fetchall()
                rows, *dead = (value for (value,) in found)  # in one statement, so that they belong together
                self._state = State(version, rows, np.array(dead, np.int64))
            return self._state

    def _rows(self) -> int:
        return self.db.execute("SELECT value FROM meta WHERE key = 'rows'").fetchone()[0]

    def heads_at(self, rows: Sequence[int]) -> dict[int, StoredHead]:
        """The heads in these rows, by row; rows that no head refers to are left out."""
        return {head.row: head for head in self._heads(f"heads.row IN ({','.join(str(int(row)) for row in rows)})", ())}

    def heads_after(self, last: int, count: int) -> list[StoredHead]:
        """The `count` heads that follow a head's id, in the order of their ids."""
        return self._heads("heads.id > ? ORDER BY heads.id LIMIT ?", (last, count))

    def heads_of(self, picture: int) -> list[StoredHead]:
        """The heads in a picture, most confident first."""
        return self._heads("heads.picture = ? ORDER BY heads.id", (picture,))

    def _heads(self, where: str, values: Sequence[Any]) -> list[StoredHead]:
        found = self.query(
            "SELECT heads.id, row, picture, folders.path, files.name, member, time, pictures.digest, box, confidence, flags "
            "FROM heads JOIN pictures ON pictures.id = heads.picture JOIN files ON files.id = pictures.file "
            f"JOIN folders ON folders.id = files.folder WHERE {where}",
            values,
        )
        heads = []
        for id, row, picture, folder, name, member, time, digest, box, confidence, flags in found:
            left, top, right, bottom = np.frombuffer(box, np.float32).tolist()
            place = Place(Path(os.fsdecode(folder), os.fsdecode(name)), member or "", time)
            heads.append(
                StoredHead(
                    id,
                    row,
                    picture,
                    place,
                    digest,
                    (left, top, right, bottom),
                    confidence,
                    bool(flags & WHOLE_PICTURE),
                    bool(flags & MONOCHROME),
                )  # fmt: skip
            )
        return heads

    def embeddings(self, rows: Sequence[int]) -> np.ndarray:
        """int8 [n, d] of these rows."""
        return self.vectors.open(self.state().rows)[0][np.asarray(rows, int)]

    # changing

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Context: this process alone changes the collection. Raises UserError: another one does."""
        with only_writer(self.folder):
            yield

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Context: all changes in it happen, or none."""
        with self._guard:
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield self.db
                self.db.execute("COMMIT")
            except BaseException:
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                raise
            finally:
                self._state = None

    def allocate(self, embeddings: np.ndarray) -> np.ndarray:
        """int64 [n]: the rows to which these embeddings, float32 [n, d], were written. Only inside a transaction, and before
        any head is forgotten in it: until it is committed, the rows of such heads are in use.
        """
        reused = [row for (row,) in self.db.execute("SELECT row FROM free ORDER BY row LIMIT ?", (len(embeddings),))]
        end = self._rows()
        rows = np.array([*reused, *range(end, end + len(embeddings) - len(reused))], np.int64)
        if len(rows):
            self.vectors.write(rows, embeddings)
            self.db.executemany("DELETE FROM free WHERE row = ?", ((row,) for row in reused))
            self.db.execute("UPDATE meta SET value = ? WHERE key = 'rows'", (end + len(embeddings) - len(reused),))
        return rows


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Context: this process alone changes the collection in a folder. Raises UserError: another process does."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise UserError(f"another process is changing the collection {folder}: wait until it has finished") from None
    try:
        yield
    finally:
        os.close(handle)
