"""A collection: the heads of many pictures, embedded once and searched from then on."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from crystal_eyes.collection.changes import forget_below
from crystal_eyes.collection.indexing import Indexing
from crystal_eyes.collection.places import Place
from crystal_eyes.collection.results import Report
from crystal_eyes.collection.searching import Match, Searcher, by_head, by_label
from crystal_eyes.collection.shared.remote import is_shared
from crystal_eyes.collection.sources import Sources, absolute
from crystal_eyes.collection.storage import DATABASE, Storage, StoredHead
from crystal_eyes.errors import UserError
from crystal_eyes.image_stats import is_monochrome
from crystal_eyes.paths import plain_path
from crystal_eyes.recognizer import Recognizer
from crystal_eyes.recognizer.bundle import Bundle
from crystal_eyes.recognizer.characters import Known, named, only, search
from crystal_eyes.recognizer.finding import FoundHead
from crystal_eyes.recognizer.pictures import Picture
from crystal_eyes.recognizer.stored import encoder_of
from crystal_eyes.vectors import unit

if TYPE_CHECKING:
    from crystal_eyes.collection.groups import Groups

BATCH = 8192


@dataclass(frozen=True)
class HeadBatch:
    """Heads of a collection, ordered by id."""

    ids: np.ndarray  # int64 [n]: of the heads; never given to another head, also after this one was forgotten
    embeddings: np.ndarray  # float32 [n, d], unit length
    places: list[Place]  # n pictures
    pictures: np.ndarray  # int64 [n]: heads of one picture have the same number
    digests: list[bytes | None]  # n: of the encoded pictures, 16 bytes; None for moments of videos
    boxes: np.ndarray  # float32 [n, 4]: left, top, right, bottom in pixels of the upright picture
    confidences: np.ndarray  # float32 [n]: of the detector
    whole_picture: np.ndarray  # bool [n]: the picture is itself a head crop
    monochrome: np.ndarray  # bool [n]: line art or gray

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class SearchedHead:
    """A head that was searched, and the pictures of the collection that may show the same character."""

    head: FoundHead | None  # None: an embedding was searched
    matches: tuple[Match, ...]  # best first, one a picture

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        head = self.head
        place = {"box": list(head.box), "confidence": head.confidence, "whole_picture": head.whole_picture} if head else {}
        return place | {"matches": [match.as_dict() for match in self.matches]}


class Collection(AbstractContextManager["Collection"]):
    """The heads of many pictures, in one folder. Searching is safe from several threads and while another process indexes."""

    def __init__(self, storage: Storage, recognizer: Recognizer | None = None):
        self.storage, self._recognizer = storage, recognizer
        self._searcher = Searcher(storage, len(os.sched_getaffinity(0)))
        if recognizer:
            self.require(recognizer.bundle)

    @classmethod
    def open(cls, path: str | Path, recognizer: Recognizer | None = None, create: bool = False) -> "Collection":
        """Open the collection in a folder, or on shared storage (s3://bucket/folder) its newest version.

        recognizer: that embeds what is added or searched; None: the default one, loaded when it is needed. create: make an
        empty collection if the folder does not exist yet or is empty. Raises UserError: no collection there, it was made with
        another encoder than the recognizer's, or the shared storage can't be used.
        """
        if is_shared(path):
            from crystal_eyes.collection.shared.collection import SharedCollection  # which is a collection

            return SharedCollection.at(str(path), recognizer, create)
        folder = plain_path(path)
        if create and not (folder / DATABASE).is_file():
            recognizer = recognizer or Recognizer.load()
            Storage.create(folder, encoder_of(recognizer.bundle), recognizer.embed([]).shape[1]).close()
        return cls(Storage(folder), recognizer)

    @staticmethod
    def is_new(path: str | Path) -> bool:
        """Whether open would have to make it; False where only shared storage knows."""
        return not is_shared(path) and not (plain_path(path) / DATABASE).is_file()

    @property
    def folder(self) -> Path:
        """On this machine."""
        return self.storage.folder

    @property
    def place(self) -> str:
        """Where it is, as users know it."""
        return str(self.folder)

    @property
    def recognizer(self) -> Recognizer:
        """Raises UserError: the default recognizer has another encoder."""
        if self._recognizer is None:
            recognizer = Recognizer.load()
            self.require(recognizer.bundle)
            self._recognizer = recognizer
        return self._recognizer

    def require(self, bundle: Bundle) -> None:
        """Raises UserError: the bundle has another encoder than the one that the collection was made with."""
        own, other = self.storage.encoder, encoder_of(bundle)
        if own != other:
            raise UserError(
                f"the collection {self.place} was made with the encoder {own[:12]}, "
                f"the bundle {bundle.folder} has {other[:12]}: use the bundle it was made with, or index into a new folder"
            )

    def __len__(self) -> int:
        """The number of heads."""
        state = self.storage.state()
        return state.rows - len(state.dead)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._searcher.close()
        self.storage.close()

    def add(
        self, sources: Sequence[str | Path], say: Callable[[str], None] = print, show_progress: bool = False,
        cluster: str | None = None,
    ) -> Report:  # fmt: skip
        """Look at the pictures, archives and videos in folders, and forget those that are gone from these folders.

        sources: folders (with their subfolders), files or patterns. Files that did not change since the last run are not
        looked at again. It can be interrupted at any time and goes on when it is repeated. say: called with each line about
        something that was left out; show_progress: on stderr. cluster: HOST:PORT of a Ray cluster whose machines look at the
        pictures, "" for one that is started on this machine; None: this process does. Raises UserError: another process
        changes the collection, nothing of the sources exists, or the cluster can't be used; OSError: the disk is full.
        """
        with self.storage.locked():
            return Indexing(self.storage, self.recognizer, Sources(sources), say, cluster).run(show_progress)

    def forget(self, sources: Sequence[str | Path]) -> int:
        """Forget the pictures of files and of folders with all that is below them, whether they exist or not.

        Returns the number of pictures. Raises UserError: another process changes the collection, or it has nothing of one.
        """
        with self.storage.locked():
            return forget_below(self.storage, [absolute(one) for one in sources])

    def search(self, query: Picture | np.ndarray, k: int = 20) -> list[SearchedHead]:
        """For each head in a picture, most confident first, the pictures in which the same character appears.

        query: a picture as Recognizer.recognize takes it, or the embedding of a head, float32 [d], unit length, for which
        there is one answer. k: pictures a head, at most; best first. Raises what recognize raises; ValueError: an embedding
        of another size.
        """
        naming = self.recognizer.naming
        if isinstance(query, np.ndarray) and query.ndim == 1:
            if query.shape != (self.storage.dimensions,):
                raise ValueError(f"an embedding of shape {list(query.shape)}: its shape must be [{self.storage.dimensions}]")
            return [SearchedHead(None, tuple(by_head(self._searcher, naming, query, False, k)))]
        return self.search_heads(self.recognizer.find(query), k)

    def search_heads(self, heads: Sequence[FoundHead], k: int = 20) -> list[SearchedHead]:
        """Like search, for heads that Recognizer.find returned."""
        naming, answers = self.recognizer.naming, []
        for head, embedding in zip(heads, self.recognizer.embed([head.picture for head in heads])):
            is_line = is_monochrome(Image.fromarray(head.picture))
            answers.append(SearchedHead(head, tuple(by_head(self._searcher, naming, embedding, is_line, k))))
        return answers

    def search_name(self, character: str, series: str | None = None, k: int = 20) -> tuple[Known, list[Match]]:
        """The character of the recognizer's bundle with this name, and the pictures in which it appears, most probable first.

        series: needed if several characters have the name. Raises UserError: no character of the bundle has it, or several.
        """
        naming = self.recognizer.naming
        found = only(named(naming.known, character, series), character)
        if found is None and naming.stored and naming.stored.named(character, series):
            raise UserError(f"{character} is one of {len(naming.stored):,} enrolled characters: search with a picture of it")
        if found is None:
            near = [str(one) for one in search(naming.known, [character], series)[:3]]
            hint = f"; names that contain it: {', '.join(near)}" if near else ""
            raise UserError(f"no character of the bundle is named {character}{hint}: list them, or search with a picture")
        return found, by_label(self._searcher, naming, naming.known.index(found), k)

    def groups(self, again: bool = True) -> "Groups":
        """The heads in groups of the same character, found without labels. Holds all embeddings in memory.

        again: False: the groups that were found last are enough, unless heads were added or forgotten since. Raises UserError:
        the default recognizer has another encoder.
        """
        from crystal_eyes.collection.groups import Groups  # which needs a collection

        return Groups(self, again)

    def head(self, id: int) -> StoredHead | None:
        """A head by its id; None if the collection does not have it any more."""
        found = self.storage.heads_after(id - 1, 1) if 0 < id < 2**63 else []  # the integers of SQLite
        return found[0] if found and found[0].id == id else None

    def batches(self, size: int = BATCH) -> Iterator[HeadBatch]:
        """All heads, at most `size` at a time, in the order of their ids. Heads that are added meanwhile may be missing."""
        last = 0
        while heads := self.storage.heads_after(last, size):
            last = heads[-1].id
            yield HeadBatch(
                np.array([head.id for head in heads], np.int64),
                unit(self.storage.embeddings([head.row for head in heads])),
                [head.place for head in heads],
                np.array([head.picture for head in heads], np.int64),
                [head.digest for head in heads],
                np.array([head.box for head in heads], np.float32),
                np.array([head.confidence for head in heads], np.float32),
                np.array([head.whole_picture for head in heads], bool),
                np.array([head.monochrome for head in heads], bool),
            )
