"""One folder of enrolled characters: a database and the search of vectors.py, instead of a folder for each. See stored.py.

characters.db    the characters, embeddings and pictures of their heads: one transaction a change
embeddings.int8, sketches.bin               a row for each character: its mean embedding
points-embeddings.int8, points-sketches.bin the direction of its weights in the layer of enrolled_logits.py
points.f32                                  the length of its weights, its bias, and that for heads in line art or gray

Opening it reads none of this, and adding a character writes that character only. The layer is that of the bundle into which the
first character was enrolled. Another one with the same encoder, into which the shard was adopted or which replaced that bundle,
does not use these points, nor those of shards before format 4: the logits are then estimated by the cosine to the mean.
"""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from crystal_eyes.errors import UserError
from crystal_eyes.image_stats import is_monochrome
from crystal_eyes.recognizer.answers import full_name
from crystal_eyes.recognizer.characters import Known
from crystal_eyes.recognizer.enrolled_logits import EnrolledLogits
from crystal_eyes.recognizer.gallery import decoded, from_stored
from crystal_eyes.vector_store import State, VectorStore
from crystal_eyes.vectors import Part, Vectors, mapped, unit, write_rows

POINTS, LENGTHS = "points-", "points.f32"  # prefix of two files; a file
COLUMNS = 3  # of that
LOGITS = "logits"  # key of meta: their digest
AT_ONCE = 1000  # rows or names that are read together
BLOCK = 8  # rows that are computed together
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
    old: Known | None = None  # the stored character that it replaces
    seen: bytes | None = None  # digest of what it was made from


class Found(NamedTuple):
    """A character as it is compared with a head."""

    place: int  # among all that were searched
    known: Known
    only_line: bool  # all heads are line art or gray
    embeddings: np.ndarray  # float32 [n, d], unit length


class Shard(VectorStore):
    """An open folder of enrolled characters."""

    DATABASE, SCHEMA, FORMAT, OLDEST, NAME = "characters.db", SCHEMA, 4, 1, "gallery of enrolled characters"
    REMEDY = "restore it, or remove its folder and enroll the characters again"

    def __len__(self) -> int:
        state = self.state()
        return state.rows - len(state.dead)

    def __bool__(self) -> bool:
        """An empty one too: whether there is one is what is asked."""
        return True

    def known(self) -> Iterator[Known]:
        """Its characters, in the order in which they were added."""
        last = 0
        while some := self.known_where("id > ? ORDER BY id LIMIT ?", (last, AT_ONCE)):
            yield from some
            last = some[-1].stored or 0

    def known_where(self, where: str, values: Sequence[Any]) -> list[Known]:
        found = self.query(f"SELECT id, character, series, heads FROM characters WHERE {where}", values)
        return [Known(character, series, self.folder, heads=heads, stored=id) for id, character, series, heads in found]

    def count_heads(self) -> int:
        return int(self.query("SELECT total(heads) FROM characters")[0][0])

    def embeddings_of(self, id: int) -> np.ndarray:
        """float32 [n, d] of a character's heads."""
        ((blob,),) = self.query("SELECT embeddings FROM characters WHERE id = ?", (id,))
        return self._heads(blob)

    def pictures_of(self, id: int) -> list[tuple[str, bytes]]:
        """(name, WebP) of each of a character's heads."""
        return self.query("SELECT name, thumbnail FROM pictures WHERE character = ? ORDER BY id", (id,))

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

    @property
    def _keeps_points(self) -> bool:
        return self.format > 3

    def means(self, state: State) -> Part:
        """What is searched by the cosine to the means. Raises OSError: damaged."""
        return Part(*self.vectors.open(state.rows), state.dead)

    def has_points(self, logits: EnrolledLogits) -> bool:
        """Whether its points are in the layer of these logits."""
        return bool(self.query("SELECT 1 FROM meta WHERE (key, value) = (?, ?)", (LOGITS, logits.digest)))

    def points(self, state: State, logits: EnrolledLogits, line: bool = False) -> Part:
        """What is searched by logits: by its points if it has them, else by cosine. line: logits of heads in line art or gray.

        Raises OSError: damaged.
        """
        if not self.has_points(logits):
            return self.means(state)._replace(scale=logits.by_cosine.slope, bias=logits.by_cosine.intercept)
        scale, *biases = mapped(self.folder / LENGTHS, np.dtype(np.float32), state.rows, COLUMNS).T
        return Part(*self._points().open(state.rows), state.dead, scale, biases[line])

    def _points(self) -> Vectors:
        return Vectors(self.folder, self.dimensions, POINTS)

    def found(self, rows: np.ndarray, first: int) -> list[Found]:
        """The characters in these rows. first: place of row 0."""
        found: list[Found] = []
        for start in range(0, len(rows), AT_ONCE):
            some = ",".join(map(str, rows[start : start + AT_ONCE].tolist()))
            for row, id, character, series, line, blob in self.query(
                f"SELECT row, id, character, series, line, embeddings FROM characters WHERE row IN ({some})"
            ):
                heads = self._heads(blob)
                known = Known(character, series, self.folder, heads=len(heads), stored=id)
                found.append(Found(first + row, known, bool(line), heads))
        return found

    # changing

    def put(
        self, characters: Sequence[NewCharacter], logits: EnrolledLogits, seen: Sequence[tuple[str, str, bytes]] = ()
    ) -> None:
        """Write characters, new ones or in place of others of this shard, all of them or none. seen: see StoredCharacters."""
        with self.transaction() as db:
            if self._keeps_points:
                db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (LOGITS, logits.digest))
            for one, row in zip(characters, self._write_rows(characters, logits)):
                id = one.old.stored if one.old else None
                if id is not None:
                    self._free(db, id)
                stored = one.embeddings.astype(np.float16)
                line = all(is_monochrome(decoded(thumbnail)) for thumbnail in one.thumbnails)
                values = (id, int(row), one.character, one.series, full_name(one.character, one.series), line, len(stored))
                id = db.execute("INSERT INTO characters VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*values, stored.tobytes())).lastrowid
                db.executemany(
                    "INSERT INTO pictures (character, name, digest, thumbnail) VALUES (?, ?, ?, ?)",
                    [(id, name, digest(data), data) for name, data in zip(one.names, one.thumbnails)],
                )
            seen = [*seen, *((one.character, one.series, one.seen) for one in characters if one.seen)]
            db.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", seen)

    def _write_rows(self, characters: Sequence[NewCharacter], logits: EnrolledLogits) -> np.ndarray:
        """int [n]: the rows of these characters."""
        if not characters:
            return np.zeros(0, int)
        # as they are stored
        heads = np.concatenate([one.embeddings for one in characters]).astype(np.float16).astype(np.float32)
        counts = np.array([len(one.embeddings) for one in characters])
        starts = np.cumsum(counts) - counts
        rows = self.allocate(unit(np.add.reduceat(heads, starts) / counts[:, None]))
        if self._keeps_points:
            scaled = np.concatenate([logits.scaled(block) for block in _blocks(heads)])[: len(heads)]
            means = np.add.reduceat(scaled, starts) / counts[:, None]
            padded = np.pad(counts, (0, -len(counts) % BLOCK), constant_values=1)
            layers = [logits.layer(*block) for block in zip(_blocks(means), padded.reshape(-1, BLOCK))]
            weight = np.concatenate([one.weight for one in layers])[: len(means)]
            biases = np.concatenate([np.stack(one[1:], axis=1) for one in layers])[: len(means)]
            lengths = np.linalg.norm(weight, axis=1).clip(1e-12)
            self._points().write(rows, weight / lengths[:, None])
            write_rows(self.folder / LENGTHS, rows, np.column_stack([lengths, biases]).astype(np.float32))
        return rows

    def rename(self, id: int, character: str) -> None:
        with self.transaction() as db:
            ((series,),) = db.execute("SELECT series FROM characters WHERE id = ?", (id,)).fetchall()
            values = (character, full_name(character, series), id)
            db.execute("UPDATE characters SET character = ?, whole = ? WHERE id = ?", values)

    def remove(self, ids: Sequence[int]) -> None:
        with self.transaction() as db:
            for id in ids:
                self._free(db, id)

    def forget_seen(self, character: str, series: str) -> None:
        """Whoever enrolls from the same pictures again means it."""
        if self.query("SELECT 1 FROM seen WHERE (character, series) = (?, ?)", (character, series)):
            with self.transaction() as db:
                db.execute("DELETE FROM seen WHERE (character, series) = (?, ?)", (character, series))

    def _free(self, db: sqlite3.Connection, id: int) -> None:
        db.execute("INSERT INTO free SELECT row FROM characters WHERE id = ?", (id,))
        db.execute("DELETE FROM characters WHERE id = ?", (id,))
        db.execute("DELETE FROM pictures WHERE character = ?", (id,))

    # beside others

    @contextmanager
    def _beside(self, other: "Shard") -> Iterator[None]:
        """Context: queries see the tables of another shard as `other`."""
        self.query("ATTACH ? AS other", (str(other.folder / other.DATABASE),))
        try:
            yield
        finally:
            self.query("DETACH other")

    def also_in(self, other: "Shard") -> list[tuple[Known, bool]]:
        """Its characters that another shard has too, and whether with the same heads."""
        with self._beside(other):
            found = self.query(
                "SELECT mine.id, mine.character, mine.series, mine.heads, mine.embeddings = theirs.embeddings "
                "FROM characters mine JOIN other.characters theirs "
                "ON (mine.character, mine.series) = (theirs.character, theirs.series)"
            )
        return [(Known(one, series, self.folder, heads=heads, stored=id), bool(same)) for id, one, series, heads, same in found]

    def require_complete(self) -> None:
        """Raise UserError: a file is missing, is shorter than it has to be, or is damaged."""
        try:
            ((found,),) = self.query("PRAGMA quick_check(1)")
            problem = None if found == "ok" else f"{self.folder / self.DATABASE} ({found})"
        except sqlite3.DatabaseError as error:
            problem = f"{self.folder / self.DATABASE} ({error})"
        if problem := problem or self.unusable_file():
            raise UserError(f"the {self.NAME} {self.folder} is not complete: {problem}: copy it again")

    def unusable_file(self) -> str | None:
        """The file of embeddings that is missing or shorter than it has to be, and which of the two; None: all can be used."""
        try:
            self.means(self.state())
            if self._keeps_points:
                self._points().open(self.state().rows)
                mapped(self.folder / LENGTHS, np.dtype(np.float32), self.state().rows, COLUMNS)
        except OSError as error:
            return f"{error.filename} ({error.strerror})"
        return None


def _blocks(rows: np.ndarray) -> list[np.ndarray]:
    """Blocks of BLOCK rows, the last one padded: with BLAS, the last bits of a row depend on the number of rows."""
    padded = np.pad(rows, ((0, -len(rows) % BLOCK), (0, 0)))
    return [padded[start : start + BLOCK] for start in range(0, len(padded), BLOCK)]


def digest(thumbnail: bytes) -> bytes:
    return hashlib.blake2b(thumbnail, digest_size=16).digest()


def empty_shard(folder: Path, encoder: str, dimensions: int) -> Shard:
    """A new shard in a folder that is made. encoder: digest of the encoder; dimensions: of its embeddings."""
    folder.mkdir(parents=True)
    Shard.write_empty(folder, encoder, dimensions)
    return Shard(folder)
