"""The gallery of a bundle with many enrolled characters: one database and the search of vectors.py, instead of folders.

characters.db    the characters, embeddings and pictures of their heads: one transaction a change
embeddings.int8  a row for each character: its mean embedding
sketches.bin     its signs

Opening it reads none of this, and adding a character writes that character only. To name a head, the characters with the
nearest means are searched, and those are compared as all others are, with their heads in full precision.
"""

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from crystal_eyes.errors import UserError
from crystal_eyes.image_stats import is_monochrome
from crystal_eyes.recognizer.answers import full_name
from crystal_eyes.recognizer.bundle import ENCODER, MANY, Bundle
from crystal_eyes.recognizer.characters import Known, characters_of, named, spellings
from crystal_eyes.recognizer.gallery import decoded, from_stored
from crystal_eyes.vector_store import VectorStore
from crystal_eyes.vectors import nearest

COMPARED = 256  # characters that are compared in full with a head
ATTEMPTS = 10  # to search while characters are added
AT_ONCE = 10_000  # names that are read together
SCHEMA = """
CREATE TABLE characters (
    id INTEGER PRIMARY KEY AUTOINCREMENT, row INTEGER NOT NULL UNIQUE, character TEXT NOT NULL, series TEXT NOT NULL,
    whole TEXT NOT NULL, line INTEGER NOT NULL, heads INTEGER NOT NULL, embeddings BLOB NOT NULL, UNIQUE (character, series)
);
CREATE INDEX characters_by_whole ON characters (whole);
CREATE TABLE pictures (
    id INTEGER PRIMARY KEY, character INTEGER NOT NULL, name TEXT NOT NULL, digest BLOB NOT NULL, thumbnail BLOB NOT NULL
);
CREATE INDEX pictures_of_character ON pictures (character);
CREATE INDEX pictures_by_digest ON pictures (digest);
CREATE TABLE seen (
    character TEXT NOT NULL, series TEXT NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (character, series)
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class NewCharacter:
    """A character as it is written."""

    character: str
    series: str
    names: Sequence[str]  # n, of the pictures of its heads
    embeddings: np.ndarray  # float32 [n, d], unit length
    thumbnails: Sequence[bytes]  # n, WebP
    id: int | None = None  # of the stored character that it replaces
    seen: bytes | None = None  # digest of what it was made from


@dataclass(frozen=True)
class Shortlist:
    """The stored characters that n heads are compared with."""

    known: list[Known] = field(default_factory=list)
    means: np.ndarray | None = None  # float32 [characters, d], unit length
    embeddings: np.ndarray | None = None  # float32 [references, d], one character's after the other's
    starts: np.ndarray = field(default_factory=lambda: np.zeros(0, int))  # int [characters]: first reference of each
    among: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), bool))  # [n, characters]: whom a head is compared with
    only_line: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))  # [characters]: all heads are line art or gray
    others: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # [n, m]: cosines to further means


class StoredCharacters(VectorStore):
    """An open gallery of enrolled characters."""

    DATABASE, SCHEMA, FORMAT, NAME = "characters.db", SCHEMA, 1, "gallery of enrolled characters"
    REMEDY = "restore it, or remove its folder and enroll the characters again"

    def __init__(self, folder: Path, threads: int | None = None):
        """threads: of a search; None: one per core."""
        super().__init__(folder)
        self._pool = ThreadPoolExecutor(threads or len(os.sched_getaffinity(0)))

    def __len__(self) -> int:
        state = self.state()
        return state.rows - len(state.dead)

    def named(self, character: str, series: str | None) -> list[Known]:
        """Like characters.named, of the stored ones."""
        spelled = {one for text in (character, full_name(character, series or "")) for one in spellings(text)}
        marks = ",".join("?" * len(spelled))
        where = f"character IN ({marks}) OR whole IN ({marks})"
        return named(list(self._known(where, [*spelled, *spelled])), character, series)

    def known(self) -> Iterator[Known]:
        """All stored characters, in the order in which they were added."""
        last = 0
        while some := list(self._known("id > ? ORDER BY id LIMIT ?", (last, AT_ONCE))):
            yield from some
            last = some[-1].stored or 0

    def _known(self, where: str, values: Sequence[Any]) -> Iterator[Known]:
        for id, character, series, heads in self.query(
            f"SELECT id, character, series, heads FROM characters WHERE {where}", values
        ):
            yield Known(character, series, self.folder, heads=heads, stored=id)

    def embeddings_of(self, id: int) -> np.ndarray:
        """float32 [n, d] of a character's heads."""
        ((blob,),) = self.query("SELECT embeddings FROM characters WHERE id = ?", (id,))
        return self._heads(blob)

    def pictures_of(self, id: int) -> list[tuple[str, bytes]]:
        """(name, WebP) of each of a character's heads."""
        return self.query("SELECT name, thumbnail FROM pictures WHERE character = ? ORDER BY id", (id,))  # type: ignore[return-value]

    def _heads(self, blob: bytes) -> np.ndarray:
        return from_stored(np.frombuffer(blob, np.float16).reshape(-1, self.dimensions))

    def having(self, thumbnail: bytes) -> tuple[str, str] | None:
        """(character, series) of the character that has this very picture of a head."""
        found = self.query(
            "SELECT characters.character, series FROM pictures JOIN characters ON characters.id = pictures.character "
            "WHERE digest = ? LIMIT 1",
            (digest(thumbnail),),
        )
        return (found[0][0], found[0][1]) if found else None

    def was_seen(self, character: str, series: str, made_from: bytes) -> bool:
        """Whether a character was made from just this before, with whatever result."""
        return bool(
            self.query("SELECT 1 FROM seen WHERE (character, series, digest) = (?, ?, ?)", (character, series, made_from))
        )

    # searching

    def shortlist(self, embeddings: np.ndarray, leave_out: Callable[[str], bool] = lambda _: False) -> Shortlist:
        """The characters with the nearest means to heads float32 [n, d], COMPARED a head; of fewer, all.

        leave_out: whether the character with this full name is not compared.
        Each head is compared with its own ones only, so that its answer does not depend on the other heads.
        """
        for _ in range(ATTEMPTS):
            state = self.state()
            stored, signs = self.vectors.open(state.rows)
            found = [nearest(stored, signs, one, state.dead, self._pool) for one in embeddings]
            first = [rows[:COMPARED] for rows, _ in found]
            rows = np.unique(np.concatenate(first)) if found else np.zeros(0, int)
            lines = self._lines(rows.tolist())
            if self.state() is state or len(lines) == len(rows):
                break
        lines = [line for line in lines if not leave_out(full_name(line[2], line[3]))]
        if not lines:
            return Shortlist(among=np.zeros((len(embeddings), 0), bool), others=np.zeros((len(embeddings), 0), np.float32))
        heads = [self._heads(line[5]) for line in lines]
        counts = np.array([len(one) for one in heads])
        means = np.stack([one.mean(axis=0) for one in heads])
        means /= np.linalg.norm(means, axis=1, keepdims=True).clip(1e-12)
        places = np.array([line[0] for line in lines])
        most = max(len(cosines) for _, cosines in found)
        others = np.full((len(found), max(0, most - COMPARED)), -np.inf, np.float32)
        for row, (_, cosines) in enumerate(found):
            others[row, : len(cosines) - COMPARED if len(cosines) > COMPARED else 0] = cosines[COMPARED:]
        return Shortlist(
            [Known(line[2], line[3], self.folder, heads=len(one), stored=line[1]) for line, one in zip(lines, heads)],
            means.astype(np.float32),
            np.concatenate(heads),
            np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(int),
            np.stack([np.isin(places, one) for one in first]),
            np.array([bool(line[4]) for line in lines]),
            others,
        )

    def near(self, embedding: np.ndarray, similarity: float) -> list[Known]:
        """The characters with a head at least this similar to an embedding, float32 [d], among those of its shortlist."""
        found = self.shortlist(embedding[None])
        if found.embeddings is None:
            return []
        most = np.maximum.reduceat(found.embeddings @ embedding, found.starts)
        return [found.known[place] for place in np.argsort(-most, kind="stable") if most[place] >= similarity]

    def _lines(self, rows: Sequence[int]) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        for start in range(0, len(rows), 1000):
            some = ",".join(map(str, rows[start : start + 1000]))
            found += self.query(f"SELECT row, id, character, series, line, embeddings FROM characters WHERE row IN ({some})")
        return sorted(found, key=lambda line: line[1])

    # changing

    def put(self, characters: Sequence[NewCharacter], seen: Sequence[tuple[str, str, bytes]] = ()) -> None:
        """Write characters, new ones or in place of others, all of them or none.

        seen: (character, series, digest) of what no character could be made from.
        """
        with self.transaction() as db:
            means = [_mean(one.embeddings) for one in characters]
            rows = self.allocate(np.stack(means)) if means else ()
            for one, row in zip(characters, rows):
                if one.id is not None:
                    self._free(db, one.id)
                stored = one.embeddings.astype(np.float16)
                line = all(is_monochrome(decoded(thumbnail)) for thumbnail in one.thumbnails)
                values = (one.id, int(row), one.character, one.series, full_name(one.character, one.series), line, len(stored))
                id = db.execute("INSERT INTO characters VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*values, stored.tobytes())).lastrowid
                db.executemany(
                    "INSERT INTO pictures (character, name, digest, thumbnail) VALUES (?, ?, ?, ?)",
                    [(id, name, digest(data), data) for name, data in zip(one.names, one.thumbnails)],
                )
            seen = [*seen, *((one.character, one.series, one.seen) for one in characters if one.seen)]
            db.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", seen)

    def rename(self, id: int, character: str) -> None:
        with self.transaction() as db:
            _forget_seen(db, id)
            ((series,),) = db.execute("SELECT series FROM characters WHERE id = ?", (id,)).fetchall()
            values = (character, full_name(character, series), id)
            db.execute("UPDATE characters SET character = ?, whole = ? WHERE id = ?", values)

    def remove(self, id: int) -> None:
        with self.transaction() as db:
            _forget_seen(db, id)
            self._free(db, id)

    def _free(self, db: sqlite3.Connection, id: int) -> None:
        db.execute("INSERT INTO free SELECT row FROM characters WHERE id = ?", (id,))
        db.execute("DELETE FROM characters WHERE id = ?", (id,))
        db.execute("DELETE FROM pictures WHERE character = ?", (id,))


def _forget_seen(db: sqlite3.Connection, id: int) -> None:
    """Whoever enrolls from the same pictures again means it."""
    key = "(SELECT character, series FROM characters WHERE id = ?)"
    db.execute(f"DELETE FROM seen WHERE (character, series) IN {key}", (id,))


def _mean(embeddings: np.ndarray) -> np.ndarray:
    """float32 [d], of the heads as they are stored."""
    mean = embeddings.astype(np.float16).astype(np.float32).mean(axis=0)
    return mean / max(float(np.linalg.norm(mean)), 1e-12)


def digest(thumbnail: bytes) -> bytes:
    return hashlib.blake2b(thumbnail, digest_size=16).digest()


def open_stored(bundle: Bundle, threads: int | None = None) -> StoredCharacters | None:
    """The gallery of a bundle's enrolled characters; None: it has none. Raises UserError: it is of another encoder."""
    if bundle.many is None:
        return None
    stored, encoder = StoredCharacters(bundle.many, threads), encoder_of(bundle)
    if stored.encoder != encoder:
        raise UserError(
            f"{bundle.many} was made with the encoder {stored.encoder[:12]}, this bundle has {encoder[:12]}: use the bundle it "
            "was made with, or remove that folder and enroll its characters again"
        )
    return stored


def create_stored(bundle: Bundle, dimensions: int) -> StoredCharacters:
    """The gallery of a bundle's enrolled characters, made where there is none. dimensions: of an embedding."""
    if bundle.many is None:
        bundle = bundle.use_many(empty_store(bundle, dimensions).name)
    found = open_stored(bundle)
    assert found
    return found


def empty_store(bundle: Bundle, dimensions: int) -> Path:
    """The folder of a gallery for the encoder of a bundle, which its listing does not name yet; made where there is none."""
    encoder = encoder_of(bundle)
    folder = bundle.folder / f"{MANY}-{encoder[:12]}"
    folder.mkdir(exist_ok=True)
    if not (folder / StoredCharacters.DATABASE).is_file():
        StoredCharacters.write_empty(folder, encoder, dimensions)
    return folder


def encoder_of(bundle: Bundle) -> str:
    """The digest of a bundle's encoder."""
    return (bundle.base or bundle).listing["files"][ENCODER]


def find(bundle: Bundle, character: str, series: str | None) -> list[Known]:
    """The characters of a bundle with this name: trained ones, enrolled ones in folders, and stored ones; see named."""
    stored = open_stored(bundle)
    return [*named(characters_of(bundle), character, series), *(stored.named(character, series) if stored else ())]
