"""A collection: the heads of many pictures, embedded once and searched from then on."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from crystal_eyes.collection.places import Place
from crystal_eyes.collection.storage import DATABASE, Storage, only_writer
from crystal_eyes.collection.vectors import unit
from crystal_eyes.errors import UserError
from crystal_eyes.paths import plain_path
from crystal_eyes.recognizer import Recognizer
from crystal_eyes.recognizer.bundle import ENCODER, Bundle

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


class Collection(AbstractContextManager["Collection"]):
    """The heads of many pictures, in one folder. Searching is safe from several threads and while another process indexes."""

    def __init__(self, storage: Storage, recognizer: Recognizer | None = None):
        self.storage, self._recognizer = storage, recognizer
        if recognizer:
            self._require(recognizer.bundle)

    @classmethod
    def open(cls, path: str | Path, recognizer: Recognizer | None = None, create: bool = False) -> Self:
        """Open the collection in a folder.

        recognizer: that embeds what is added or searched; None: the default one, loaded when it is needed. create: make an
        empty collection if the folder does not exist yet or is empty. Raises UserError: no collection there, or it was made
        with another encoder than the recognizer's.
        """
        folder = plain_path(path)
        if create and not (folder / DATABASE).is_file():
            recognizer = recognizer or Recognizer.load()
            with only_writer(folder):
                if not (folder / DATABASE).is_file():
                    Storage.create(folder, encoder_of(recognizer.bundle), recognizer.embed([]).shape[1]).close()
        return cls(Storage(folder), recognizer)

    @property
    def folder(self) -> Path:
        return self.storage.folder

    @property
    def recognizer(self) -> Recognizer:
        """Raises UserError: the default recognizer has another encoder."""
        if self._recognizer is None:
            recognizer = Recognizer.load()
            self._require(recognizer.bundle)
            self._recognizer = recognizer
        return self._recognizer

    def _require(self, bundle: Bundle) -> None:
        own, other = self.storage.encoder, encoder_of(bundle)
        if own != other:
            raise UserError(
                f"the collection {self.folder} was made with the encoder {own[:12]}, the bundle {bundle.folder} has {other[:12]}: "
                "use the bundle it was made with, or index into a new folder"
            )

    def __len__(self) -> int:
        """The number of heads."""
        state = self.storage.state()
        return state.rows - len(state.dead)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.storage.close()

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


def encoder_of(bundle: Bundle) -> str:
    """The digest of a bundle's encoder."""
    return (bundle.base or bundle).listing["files"][ENCODER]
