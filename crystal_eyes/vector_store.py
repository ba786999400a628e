"""A folder with a SQLite database and the files of vectors.py, in which every change happens as a whole or not at all.

New embeddings are written to rows that nothing refers to, and are on the disk before the transaction that refers to them:
killed at any moment, the folder is as it was before or after a change.
"""

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from crystal_eyes.errors import UserError
from crystal_eyes.vectors import Vectors

SECONDS = 60.0  # that a reader waits while a writer writes
TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE free (row INTEGER PRIMARY KEY);
"""


class State(NamedTuple):
    """Changes with every change of the database."""

    version: int
    rows: int
    dead: np.ndarray  # int64: rows that nothing refers to


class VectorStore:
    """An open folder. Reading is safe from several threads; one process at a time may change it."""

    DATABASE: ClassVar[str]  # name of its file
    SCHEMA: ClassVar[str]  # its tables besides TABLES
    FORMAT: ClassVar[int]
    OLDEST: ClassVar[int]  # format that is read
    NAME: ClassVar[str]  # what a user calls such a folder
    REMEDY: ClassVar[str]  # for a database that can't be read

    def __init__(self, folder: Path):
        """Open a folder. Raises UserError: there is none, it has another format, or it is damaged."""
        self.folder = folder
        if not (folder / self.DATABASE).is_file():
            raise UserError(f"{folder} is not a {self.NAME}: it contains no {self.DATABASE}")
        self._guard = threading.RLock()
        try:
            self.db = self._connect()
            meta = dict(self.db.execute("SELECT key, value FROM meta"))
        except sqlite3.DatabaseError as error:
            raise UserError(f"{folder / self.DATABASE} can't be read ({error}): {self.REMEDY}") from None
        if meta.get("format") not in range(self.OLDEST, self.FORMAT + 1):
            raise UserError(f"the {self.NAME} {folder} has format {meta.get('format')}, this version reads {self.FORMAT}")
        self.format: int = meta["format"]
        self.encoder: str = meta["encoder"]
        self.dimensions: int = meta["dimensions"]
        self.vectors = Vectors(folder, self.dimensions)
        self._state: State | None = None

    def _connect(self) -> sqlite3.Connection:
        path = self.folder / self.DATABASE
        if os.access(path, os.W_OK) and os.access(self.folder, os.W_OK):
            return sqlite3.connect(path, SECONDS, isolation_level=None, check_same_thread=False)
        # on a disk that can't be written, nobody else writes
        address = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
        return sqlite3.connect(address, SECONDS, isolation_level=None, check_same_thread=False, uri=True)

    @classmethod
    def write_empty(cls, folder: Path, encoder: str, dimensions: int) -> None:
        """Write an empty database into an existing folder. encoder: digest of the encoder; dimensions: of its embeddings."""
        part = folder / f"{cls.DATABASE}.part"
        part.unlink(missing_ok=True)
        db = sqlite3.connect(part, isolation_level=None)
        try:
            db.executescript(f"PRAGMA page_size = 16384; BEGIN; {TABLES}{cls.SCHEMA}")
            values = {"format": cls.FORMAT, "encoder": encoder, "dimensions": dimensions, "rows": 0}
            db.executemany("INSERT INTO meta VALUES (?, ?)", values.items())
            db.execute("COMMIT")
        except BaseException:
            db.close()
            part.unlink(missing_ok=True)
            raise
        db.close()
        part.replace(folder / cls.DATABASE)

    def close(self) -> None:
        self.db.close()

    # reading

    def query(self, text: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a SELECT."""
        with self._guard:
            return self.db.execute(text, values).fetchall()

    def state(self) -> State:
        """The state of the database, and which of its rows to search."""
        with self._guard:
            (version,) = self.db.execute("PRAGMA data_version").fetchone()
            if self._state is None or self._state.version != version:
                found = self.db.execute("SELECT value FROM meta WHERE key = 'rows' UNION ALL SELECT row FROM free").fetchall()
                rows, *dead = (value for (value,) in found)  # in one statement, so that they belong together
                self._state = State(version, rows, np.array(dead, np.int64))
            return self._state

    def _rows(self) -> int:
        return self.db.execute("SELECT value FROM meta WHERE key = 'rows'").fetchone()[0]

    def embeddings(self, rows: Sequence[int]) -> np.ndarray:
        """int8 [n, d] of these rows."""
        return self.vectors.open(self.state().rows)[0][np.asarray(rows, int)]

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
        any row is freed in it: until it is committed, such rows are in use.
        """
        reused = [row for (row,) in self.db.execute("SELECT row FROM free ORDER BY row LIMIT ?", (len(embeddings),))]
        end = self._rows()
        rows = np.array([*reused, *range(end, end + len(embeddings) - len(reused))], np.int64)
        if len(rows):
            self.vectors.write(rows, embeddings)
            self.db.executemany("DELETE FROM free WHERE row = ?", ((row,) for row in reused))
            self.db.execute("UPDATE meta SET value = ? WHERE key = 'rows'", (end + len(embeddings) - len(reused),))
        return rows


def copy_stores(folders: Mapping[Path, Path], copy: Callable[[Path, Path], Any] = shutil.copyfile) -> None:
    """Copy stores to new folders, as they all are at one moment: who changes them waits meanwhile. copy: of a file."""
    with ExitStack() as stack:
        for source in folders:
            (database,) = source.glob("*.db")
            db = stack.enter_context(closing(sqlite3.connect(database, SECONDS, isolation_level=None)))
            if os.access(source, os.W_OK):  # else nobody changes it
                db.execute("BEGIN IMMEDIATE")
        for source, folder in folders.items():
            folder.mkdir(parents=True)
            for file in source.iterdir():
                if not file.name.endswith("-journal"):
                    copy(file, folder / file.name)
