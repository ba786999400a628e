"""Pictures in, embeddings of the heads in them out: what recognition and collections need before anything is named."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from crystal_eyes.detector.defaults import NORMAL
from crystal_eyes.detector.runtime import HeadDetector
from crystal_eyes.encoder.defaults import BATCH
from crystal_eyes.encoder.runtime import OnnxEncoder
from crystal_eyes.images import PictureError, fit
from crystal_eyes.onnx_session import on_gpu
from crystal_eyes.recognizer.finding import FoundHead, Search, find_heads
from crystal_eyes.recognizer.pictures import Picture, pixels

MAX_WAITING_BYTES = 64_000_000  # of heads that wait for a full batch

Found = list[FoundHead] | PictureError | OSError  # the heads in a picture, or why it could not be read


class EmbeddedHeads(NamedTuple):
    """The heads in a picture, not named."""

    heads: list[FoundHead]
    embeddings: np.ndarray  # float32 [n, d], unit length


class Embedder:
    """A head detector and an encoder. Safe to use from several threads."""

    def __init__(self, detector: Path, encoder: Path, threads: int | None = None, gpu: bool = False):
        """threads: for one call of a network; None: one per core. gpu: as open_session.

        Raises UserError: a file is not what it should be.
        """
        self.at_once = os.cpu_count() or 1  # pictures that embed_many searches
        self._detector_file = detector
        self._detector = HeadDetector(detector, threads=threads, gpu=gpu)
        self._encoder = OnnxEncoder(encoder, threads, gpu)
        self.on_gpu = on_gpu(self._encoder.session)

    def embed_many(self, pictures: Iterable[Picture]) -> Iterator[EmbeddedHeads | PictureError | OSError]:
        """For each picture, in order, its heads and their embeddings, or the error if it can't be read.

        Uses all cores; memory use is constant. Raises TypeError for what is not a picture, or a single one.
        """
        for group in self._find_in_groups(pictures, Search()):
            heads = [head for found in group if isinstance(found, list) for head in found]
            embeddings, start = self.embed([head.picture for head in heads]), 0
            for found in group:
                if isinstance(found, list):
                    yield EmbeddedHeads(found, embeddings[start : start + len(found)])
                    start += len(found)
                else:
                    yield found

    def _find_in_groups(self, pictures: Iterable[Picture], search: Search) -> Iterator[list[Found]]:
        """The heads in pictures, in order, a batch of the encoder at a time."""
        if isinstance(pictures, (str, bytes, bytearray, Path, Image.Image)):
            raise TypeError(f"one {type(pictures).__name__} instead of several pictures: put it into a list")
        # one thread a picture: parallel calls that each use all cores wait for each other
        detector = HeadDetector(self._detector_file, threads=1) if self.at_once > 1 else self._detector

        def find(picture: Picture) -> Found:
            try:
                return find_heads(detector, pixels(picture), search)
            except (PictureError, OSError) as error:
                return error
            except MemoryError:
                return PictureError("too large for the memory of this machine")

        with ThreadPoolExecutor(self.at_once) as pool:
            waiting: deque[Future[Found]] = deque()
            group: list[Found] = []
            for picture in pictures:
                waiting.append(pool.submit(find, picture))
                if len(waiting) > 2 * self.at_once:
                    group.append(waiting.popleft().result())
                heads = [head for found in group if isinstance(found, list) for head in found]
                held = sum(head.picture.nbytes for head in heads)
                if len(heads) >= BATCH or len(group) >= 2 * BATCH or held > MAX_WAITING_BYTES:
                    yield group
                    group = []
            group += [future.result() for future in waiting]
            yield group

    def find(self, picture: Picture, *, detail: str = NORMAL, head: bool = False) -> list[FoundHead]:
        """The heads in a picture, not named. detail, head, and what it raises: as recognize."""
        return find_heads(self._detector, pixels(picture), Search(detail, head))

    def embed(self, heads: Sequence[np.ndarray]) -> np.ndarray:
        """float32 [n, d], unit length: embeddings of n head crops (uint8 RGB [h, w, 3] of any size)."""
        size, out = self._encoder.image_size, [np.zeros((0, self._encoder.embedding_size), np.float32)]
        for start in range(0, len(heads), BATCH):
            out.append(self._encoder(np.stack([fit(Image.fromarray(head), size) for head in heads[start : start + BATCH]])))
        return np.concatenate(out)
