"""The gallery of a bundle with many enrolled characters: one or several shards, which are searched as if they were one.

A shard (shard.py) is a folder with a database and an index. New characters go to the last one until it is full; adopting.py
adds shards that were filled on other machines. To name a head, all shards are searched for the characters with the largest
logits by their rows, and those are compared as all others are, with their heads in full precision. The answer does not depend
on which character is in which shard.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from crystal_eyes import vectors
from crystal_eyes.errors import UserError
from crystal_eyes.recognizer.answers import full_name
from crystal_eyes.recognizer.bundle import ENCODER, MANY, Bundle
from crystal_eyes.recognizer.characters import Known, characters_of, named, spellings
from crystal_eyes.recognizer.enrolled_logits import EnrolledLogits, read_enrolled_logits
from crystal_eyes.recognizer.shard import Found, NewCharacter, Shard, empty_shard

COMPARED, NEAREST = 256, 64  # characters that are compared in full with a head: by their logits, and by cosine
SEARCHED = 0.25  # share of all characters that are compared with a head by their rows, at least vectors.CANDIDATES
ATTEMPTS = 10  # to search while characters are added
FULL = 1_000_000  # characters of a shard, from which the next one is begun


@dataclass(frozen=True)
class Shortlist:
    """The stored characters that n heads are compared with."""

    known: list[Known] = field(default_factory=list)
    means: np.ndarray | None = None  # float32 [characters, d], unit length
    embeddings: np.ndarray | None = None  # float32 [references, d], one character's after the other's
    starts: np.ndarray = field(default_factory=lambda: np.zeros(0, int))  # int [characters]: first reference of each
    among: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), bool))  # [n, characters]: whom a head is compared with
    only_line: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))  # [characters]: all heads are line art or gray
    others: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # [n, m]: logits of further ones; or -inf


class StoredCharacters:
    """The open gallery of a bundle's enrolled characters. Reading is safe from several threads, one process may change it.

    What another process writes into its shards is seen at once; a shard that it begins, when the bundle is opened anew.
    """

    def __init__(self, bundle: Bundle, threads: int | None = None):
        """threads: of a search; None: one per core. Raises UserError: a shard is damaged or of another encoder."""
        self.bundle, encoder = bundle, encoder_of(bundle)
        self.shards = [Shard(folder) for folder in bundle.many]
        for shard in self.shards:
            if shard.encoder != encoder:
                raise UserError(
                    f"{shard.folder} was made with the encoder {shard.encoder[:12]}, this bundle has {encoder[:12]}: use the "
                    "bundle it was made with, or remove that folder and enroll its characters again"
                )
            if problem := shard.unusable_file():
                raise UserError(f"{problem} can't be read: {shard.REMEDY}")
        self._pool = ThreadPoolExecutor(threads or len(os.sched_getaffinity(0)))

    def __len__(self) -> int:
        return sum(len(shard) for shard in self.shards)

    def __bool__(self) -> bool:
        """An empty one too: whether there is one is what is asked."""
        return True

    @cached_property
    def _logits(self) -> EnrolledLogits:
        return read_enrolled_logits(self.bundle)

    def _shard(self, one: Known) -> tuple[Shard, int]:
        """The shard of a stored character, and its id there."""
        assert one.stored is not None
        return next(shard for shard in self.shards if shard.folder == one.folder), one.stored

    def named(self, character: str, series: str | None) -> list[Known]:
        """Like characters.named, of the stored ones."""
        spelled = {one for text in (character, full_name(character, series or "")) for one in spellings(text)}
        marks = ",".join("?" * len(spelled))
        where, values = f"character IN ({marks}) OR whole IN ({marks})", [*spelled, *spelled]
        return named([one for shard in self.shards for one in shard.known_where(where, values)], character, series)

    def known(self) -> Iterator[Known]:
        """All stored characters, in the order in which they were added to their shards."""
        for shard in self.shards:
            yield from shard.known()

    def embeddings_of(self, one: Known) -> np.ndarray:
        """float32 [n, d] of a character's heads."""
        shard, id = self._shard(one)
        return shard.embeddings_of(id)

    def pictures_of(self, one: Known) -> list[tuple[str, bytes]]:
        """(name, WebP) of each of a character's heads."""
        shard, id = self._shard(one)
        return shard.pictures_of(id)

    def having(self, thumbnail: bytes) -> tuple[str, str] | None:
        """(character, series) of a character that has this very picture of a head."""
        return next((found for shard in self.shards if (found := shard.having(thumbnail))), None)

    def was_seen(self, character: str, series: str, made_from: bytes) -> bool:
        """Whether a character was made from just this before, with whatever result."""
        return any(shard.was_seen(character, series, made_from) for shard in self.shards)

    # searching

    def shortlist(
        self,
        embeddings: np.ndarray,
        adapted: np.ndarray,
        monochrome: np.ndarray,
        leave_out: Callable[[str], bool] = lambda _: False,
    ) -> Shortlist:
        """The characters with the largest logits for heads float32 [n, d], COMPARED a head, and the NEAREST by cosine, which
        verdicts need; more of them if the last ones are equal.

        adapted: float32 [n, d], what their logits are computed from; monochrome: bool [n], whether they are in line art or
        gray; leave_out: whether the character with this full name is not compared.
        Each head is compared with its own ones only, so that its answer does not depend on the other heads.
        """
        for _ in range(ATTEMPTS):
            states = [shard.state() for shard in self.shards]
            points = [
                [shard.points(state, self._logits, line) for shard, state in zip(self.shards, states)] for line in (False, True)
            ]
            means = [shard.means(state) for shard, state in zip(self.shards, states)]
            by_points = [shard.has_points(self._logits) for shard in self.shards]
            searched = max(vectors.CANDIDATES, int(SEARCHED * len(self)))
            first, rest = [], []
            for one, its, line in zip(embeddings, adapted, monochrome):
                asked = [its if has else one for has in by_points]
                places, logits = vectors.nearest(points[int(line)], asked, self._pool, searched)
                mine = np.union1d(_first(places, logits, COMPARED), _first(*vectors.nearest(means, one, self._pool), NEAREST))
                first.append(mine)
                rest.append(logits[~np.isin(places, mine)])
            places = np.unique(np.concatenate(first)) if first else np.zeros(0, int)
            lines = self._found(places, np.cumsum([0, *(state.rows for state in states)]))
            unchanged = all(shard.state() is state for shard, state in zip(self.shards, states))
            if unchanged or len(lines) == len(places):
                break
        lines = [line for line in lines if not leave_out(str(line.known))]
        if not lines:
            return Shortlist(among=np.zeros((len(embeddings), 0), bool), others=np.zeros((len(embeddings), 0), np.float32))
        sizes = np.array([len(line.embeddings) for line in lines])
        others = np.full((len(rest), max(map(len, rest))), -np.inf, np.float32)
        for row, values in enumerate(rest):
            others[row, : len(values)] = values
        among = np.array([line.place for line in lines])
        return Shortlist(
            [line.known for line in lines],
            vectors.unit(np.stack([line.embeddings.mean(axis=0) for line in lines])),
            np.concatenate([line.embeddings for line in lines]),
            np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(int),
            np.stack([np.isin(among, one) for one in first]),
            np.array([line.only_line for line in lines]),
            others,
        )

    def _found(self, places: np.ndarray, starts: np.ndarray) -> list[Found]:
        """The characters at these places, by name: in the same order whichever shard they are in. starts: of the shards."""
        lines: list[Found] = []
        for shard, start, end in zip(self.shards, starts, starts[1:]):
            lines += shard.found(places[(places >= start) & (places < end)] - start, int(start))
        return sorted(lines, key=lambda line: (line.known.character, line.known.series))

    def near(self, embedding: np.ndarray, similarity: float) -> list[Known]:
        """The characters with a head at least this similar to an embedding, float32 [d], among those of its shortlist."""
        found = self.shortlist(embedding[None], self._logits.scaled(embedding[None]), np.zeros(1, bool))
        if found.embeddings is None:
            return []
        most = np.maximum.reduceat(found.embeddings @ embedding, found.starts)
        return [found.known[place] for place in np.argsort(-most, kind="stable") if most[place] >= similarity]

    # changing

    def put(self, characters: Sequence[NewCharacter], seen: Sequence[tuple[str, str, bytes]] = ()) -> None:
        """Write characters, new ones or in place of others: those of one shard all or none.

        seen: (character, series, digest) of what no character could be made from. Raises UserError, without any change: a new
        one is there already.
        """
        new = [one for one in characters if one.old is None]
        for one in new:
            values = (one.character, one.series)
            if any(shard.known_where("(character, series) = (?, ?)", values) for shard in self.shards):
                raise UserError(f"{full_name(*values)} is already in {self.bundle.folder}: choose another name")
        for shard in self.shards:
            if own := [one for one in characters if one.old and one.old.folder == shard.folder]:
                shard.put(own, self._logits)
        while new or seen:
            room = FULL - len(self.shards[-1])
            if new and room <= 0:
                self._begin()
                room = FULL
            self.shards[-1].put(new[:room], self._logits, seen)
            new, seen = new[room:], ()

    def _begin(self) -> None:
        """Begin a shard."""
        folder = next_folder(self.bundle)
        shard = empty_shard(folder, encoder_of(self.bundle), self.shards[-1].dimensions)
        self.bundle = self.bundle.use_many([folder.name])
        self.shards.append(shard)

    def rename(self, one: Known, character: str) -> None:
        shard, id = self._shard(one)
        self._forget_seen(one)
        shard.rename(id, character)

    def remove(self, one: Known) -> None:
        shard, id = self._shard(one)
        self._forget_seen(one)
        shard.remove([id])

    def _forget_seen(self, one: Known) -> None:
        for shard in self.shards:
            shard.forget_seen(one.character, one.series)


def _first(places: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """So many of the first places, and those whose values are equal to the last one's. values: largest first."""
    return places if len(places) <= count else places[values >= values[count - 1]]


def open_stored(bundle: Bundle, threads: int | None = None) -> StoredCharacters | None:
    """The gallery of a bundle's enrolled characters; None: it has none. Raises UserError: it is of another encoder."""
    return StoredCharacters(bundle, threads) if bundle.many else None


def create_stored(bundle: Bundle, dimensions: int) -> StoredCharacters:
    """The gallery of a bundle's enrolled characters, made where there is none. dimensions: of an embedding."""
    if not bundle.many:
        folder = next_folder(bundle)
        empty_shard(folder, encoder_of(bundle), dimensions)
        bundle = bundle.use_many([folder.name])
    return StoredCharacters(bundle)


def next_folder(bundle: Bundle, before: int = 0) -> Path:
    """The folder of a shard to come, which its listing does not name yet. before: so many others come before it.

    What an interrupted process left there is removed.
    """
    names = [shard_name(encoder_of(bundle), number) for number in range(len(bundle.many) + before + 1)]
    folder = [bundle.folder / name for name in names if bundle.folder / name not in bundle.many][before]
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def shard_name(encoder: str, number: int) -> str:
    """encoder: its digest; number: of shards before it."""
    return f"{MANY}-{encoder[:12]}{f'-{number + 1}' if number else ''}"


def encoder_of(bundle: Bundle) -> str:
    """The digest of a bundle's encoder."""
    return (bundle.base or bundle).listing["files"][ENCODER]


def find(bundle: Bundle, character: str, series: str | None) -> list[Known]:
    """The characters of a bundle with this name: trained ones, enrolled ones in folders, and stored ones; see named."""
    stored = open_stored(bundle)
    return [*named(characters_of(bundle), character, series), *(stored.named(character, series) if stored else ())]
