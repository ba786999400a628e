"""The folder of a collection: a SQLite database of pictures and heads, and the files of vectors.py.

collection.db  which encoder, the files that were looked at, their pictures, the heads in them: one transaction a change
lock           held by the process that changes the collection

Every change happens as a whole or not at all: see vector_store.py.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from crystal_eyes.collection.places import Place
from crystal_eyes.errors import UserError, said
from crystal_eyes.vector_store import VectorStore

DATABASE, LOCK = "collection.db", "lock"
FORMAT = 1
WHOLE_PICTURE, MONOCHROME = 1, 2  # of heads.flags
SCHEMA = """
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


class Storage(VectorStore):
    """An open collection."""

    DATABASE, SCHEMA, FORMAT, OLDEST, NAME = DATABASE, SCHEMA, FORMAT, FORMAT, "collection"
    REMEDY = "restore it, or index into a new folder"

    def __init__(self, folder: Path):
        """As VectorStore. Raises UserError also where a file of embeddings is missing or too short."""
        super().__init__(folder)
        try:
            self.vectors.open(self.state().rows)
        except PermissionError:
            raise
        except OSError as error:
            raise UserError(f"{error.filename} can't be read ({said(error)}): {self.REMEDY}") from None

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
                cls.write_empty(folder, encoder, dimensions)
        return cls(folder)

    # reading

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

    # changing

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Context: this process alone changes the collection. Raises UserError: another one does."""
        with only_writer(self.folder):
            yield


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
