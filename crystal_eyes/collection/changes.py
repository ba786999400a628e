"""What an indexing run changes in a collection's database."""

import os
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crystal_eyes.collection.places import Place, address
from crystal_eyes.collection.sources import SourceFile
from crystal_eyes.collection.storage import MONOCHROME, WHOLE_PICTURE, Storage
from crystal_eyes.errors import UserError

AT_ONCE = 500  # files that are forgotten in one transaction
DIGESTS = 100_000  # that are read at once


class KnownFile(NamedTuple):
    """A file as the collection knows it."""

    id: int
    size: int
    mtime_ns: int
    digest: bytes | None
    complete: bool  # all of its pictures were looked at
    error: str | None


class NewHead(NamedTuple):
    box: tuple[float, float, float, float]
    confidence: float
    whole_picture: bool
    monochrome: bool


@dataclass
class Change:
    """What was found in one picture of a file, or that its end was reached."""

    file: SourceFile
    digest: bytes | None  # of the file
    starts: bool = False  # what the collection has of the file is replaced
    ends: bool = False
    member: str | None = None
    time: float | None = None
    picture_digest: bytes | None = None
    error: str | None = None  # of the picture, or of the file where it ends
    is_picture: bool = True  # False: nothing was looked at, as at the end of an archive
    unchanged: bool = False  # the file has another time, but the same content
    unread: str = ""  # why the file can't be read: nothing more is written of it
    heads: list[NewHead] = field(default_factory=list)
    embeddings: np.ndarray | None = None  # float32 [heads, d]; None: not looked at yet, or not usable

    @property
    def place(self) -> Place:
        return Place(self.file.path, self.member or "", self.time)

    @property
    def needs_result(self) -> bool:
        return self.is_picture and self.error is None and self.embeddings is None


def known_files(storage: Storage, folder: Path) -> dict[str, KnownFile]:
    """The files of a folder that the collection knows, by name."""
    rows = storage.query(
        "SELECT name, files.id, size, mtime_ns, digest, complete, error FROM files JOIN folders ON folders.id = folder "
        "WHERE path = ?",
        (os.fsencode(folder),),
    )
    return {
        os.fsdecode(name): KnownFile(id, size, mtime_ns, digest, bool(complete), error)
        for name, id, size, mtime_ns, digest, complete, error in rows
    }


def known_folders(storage: Storage) -> list[Path]:
    """Of which the collection has files."""
    found = storage.query("SELECT path FROM folders WHERE id IN (SELECT folder FROM files)")
    return [Path(os.fsdecode(path)) for (path,) in found]


def pictures_in(storage: Storage, folders: Iterable[Path]) -> int:
    """How many pictures the collection has of the files in these folders, not below them."""
    count = 0
    for folder in folders:
        count += storage.query(
            "SELECT COUNT(*) FROM pictures JOIN files ON files.id = file JOIN folders ON folders.id = folder WHERE path = ?",
            (os.fsencode(folder),),
        )[0][0]
    return count


def same_picture(storage: Storage, digest: bytes) -> tuple[list[NewHead], np.ndarray] | None:
    """The heads of a picture that was looked at under another name, and their embeddings as the collection has them."""
    found = storage.query("SELECT id FROM pictures WHERE digest = ? AND error IS NULL LIMIT 1", (digest,))
    if not found:
        return None
    heads = storage.heads_of(found[0][0])
    embeddings = storage.embeddings([head.row for head in heads])
    return [NewHead(head.box, head.confidence, head.whole_picture, head.monochrome) for head in heads], embeddings


def known_digests(storage: Storage) -> np.ndarray:
    """uint64 [n], sorted: the first 8 bytes of the digests of the pictures that were looked at."""
    parts, last = [np.zeros(0, np.uint64)], 0
    while rows := storage.query("SELECT id, substr(digest, 1, 8) FROM pictures WHERE digest IS NOT NULL AND error IS NULL "
                                "AND id > ? ORDER BY id LIMIT ?", (last, DIGESTS)):  # fmt: skip
        last = rows[-1][0]
        parts.append(np.frombuffer(b"".join(digest for _, digest in rows), np.uint64))
    return np.sort(np.concatenate(parts))


def write(storage: Storage, changes: Sequence[Change]) -> None:
    """Make all of these changes, or none. Raises OSError or sqlite3.Error: the disk is full."""
    with storage.transaction() as db:
        new = [change.embeddings for change in changes if change.embeddings is not None and len(change.embeddings)]
        rows = iter(storage.allocate(np.concatenate(new)).tolist() if new else [])
        for change in changes:
            file = _file(db, change)
            if change.is_picture:
                _picture(db, file, change, rows)


def _file(db: sqlite3.Connection, change: Change) -> int:
    path, size, mtime_ns = change.file
    folder, name = os.fsencode(path.parent), os.fsencode(path.name)
    db.execute("INSERT OR IGNORE INTO folders (path) VALUES (?)", (folder,))
    (home,) = db.execute("SELECT id FROM folders WHERE path = ?", (folder,)).fetchone()
    found = db.execute("SELECT id FROM files WHERE folder = ? AND name = ?", (home, name)).fetchone()
    if found and change.starts:
        _forget_pictures(db, found[0])
    values = (size, mtime_ns, change.digest, change.ends, change.error if change.ends else None)
    if found:
        db.execute(
            "UPDATE files SET size = ?, mtime_ns = ?, digest = ?, complete = ?, error = ? WHERE id = ?", (*values, found[0])
        )
        return int(found[0])
    added = db.execute(
        "INSERT INTO files (folder, name, size, mtime_ns, digest, complete, error) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (home, name, *values),
    )
    return int(added.lastrowid or 0)


def _picture(db: sqlite3.Connection, file: int, change: Change, rows: Iterable[int]) -> None:
    picture = db.execute(
        "INSERT INTO pictures (file, member, time, digest, error) VALUES (?, ?, ?, ?, ?)",
        (file, change.member, change.time, change.picture_digest, change.error),
    ).lastrowid
    for head, row in zip(change.heads, rows):
        flags = WHOLE_PICTURE * head.whole_picture + MONOCHROME * head.monochrome
        box = np.array(head.box, np.float32).tobytes()
        db.execute(
            "INSERT INTO heads (row, picture, box, confidence, flags) VALUES (?, ?, ?, ?, ?)",
            (row, picture, box, head.confidence, flags),
        )


def forget(storage: Storage, files: Sequence[int]) -> int:
    """Forget files, their pictures and heads. Returns the number of pictures."""
    count = 0
    for start in range(0, len(files), AT_ONCE):
        with storage.transaction() as db:
            for file in files[start : start + AT_ONCE]:
                count += _forget_pictures(db, file)
                db.execute("DELETE FROM files WHERE id = ?", (file,))
    return count


def forget_below(storage: Storage, paths: Sequence[Path]) -> int:
    """Forget these files, and those in and below these folders. Returns the number of pictures. Raises UserError, without
    forgetting anything: the collection has nothing of one of them.
    """
    files: list[int] = []
    unknown = dict.fromkeys(paths)
    for folder in known_folders(storage):
        known = known_files(storage, folder)
        above = {path for path in paths if folder.is_relative_to(path)}
        one_by_one = {folder / name for name in known} & set(paths)
        unknown = {path: None for path in unknown if path not in above | one_by_one}
        files += [one.id for name, one in known.items() if above or folder / name in one_by_one]
    if unknown:
        raise UserError(f"the collection has nothing of {address(next(iter(unknown)))}: give what was indexed")
    return forget(storage, files)


def _forget_pictures(db: sqlite3.Connection, file: int) -> int:
    pictures = "SELECT id FROM pictures WHERE file = ?"
    db.execute(f"INSERT INTO free SELECT row FROM heads WHERE picture IN ({pictures})", (file,))
    db.execute(f"DELETE FROM heads WHERE picture IN ({pictures})", (file,))
    return db.execute("DELETE FROM pictures WHERE file = ?", (file,)).rowcount
