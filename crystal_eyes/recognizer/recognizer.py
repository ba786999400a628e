"""The recogniser: picture in, named heads out."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import numpy as np
from PIL import Image

from crystal_eyes.artifacts import local_path
from crystal_eyes.detector.runtime import HeadDetector
from crystal_eyes.encoder.runtime import OnnxEncoder
from crystal_eyes.image_stats import is_monochrome
from crystal_eyes.images import PictureError, fit, flatten, open_picture, upright
from crystal_eyes.recognizer.answers import Candidate, Head, Reference
from crystal_eyes.recognizer.bundle import DETECTOR, ENCODER, Bundle, read_bundle
from crystal_eyes.recognizer.finding import FoundHead, find_heads
from crystal_eyes.recognizer.naming import Naming

CANDIDATES = 5
BATCH = 32  # heads a call of the encoder: more are slower for each and take more memory
MOST_BYTES = 64_000_000  # of heads that wait for a full batch

Picture = bytes | str | Path | Image.Image


class Recognizer:
    """Finds the heads in pictures and names them. Safe to use from several threads."""

    def __init__(self, bundle: Bundle, threads: int | None = None):
        self.bundle = bundle
        self._detector = HeadDetector(bundle.folder / DETECTOR, threads=threads)
        self._encoder = OnnxEncoder(bundle.folder / ENCODER, threads)
        self.naming = Naming(bundle, threads)

    @classmethod
    def load(cls, source: str | Path, threads: int | None = None) -> Self:
        """source: a bundle's folder, or `models:/crystal-eyes@champion` and `runs:/ID/bundle` where mlflow is installed.

        threads: that one call of a network uses; None: as many as there are cores. Raises UserError: no intact bundle there.
        """
        return cls(read_bundle(bundle_folder(source)), threads)

    def recognize(self, picture: Picture) -> list[Head]:
        """The heads in a picture (encoded bytes, a path, or a Pillow picture), surest first; empty: no head was found.

        Raises PictureError where it can't be read, OSError where there is no such file.
        """
        return self.name_heads(find_heads(self._detector, pixels(picture)))

    def recognize_many(self, pictures: Iterable[Picture]) -> Iterator[list[Head] | PictureError | OSError]:
        """For each picture, in order, its heads, or why it can't be read. Uses every core; memory stays flat.

        Pictures are read and searched side by side; their heads go to the encoder together.
        """

        # a thread each for pictures side by side: calls that share all cores wait for each other
        detector = HeadDetector(self.bundle.folder / DETECTOR, threads=1)

        def find(picture: Picture) -> list[FoundHead] | PictureError | OSError:
            try:
                return find_heads(detector, pixels(picture))
            except (PictureError, OSError) as error:
                return error

        cores = os.cpu_count() or 1
        with ThreadPoolExecutor(cores) as pool:
            waiting: deque = deque()
            group: list[list[FoundHead] | PictureError | OSError] = []
            for picture in pictures:
                waiting.append(pool.submit(find, picture))
                if len(waiting) > 2 * cores:
                    group.append(waiting.popleft().result())
                heads = [head for found in group if isinstance(found, list) for head in found]
                held = sum(head.picture.nbytes for head in heads)
                if len(heads) >= BATCH or len(group) >= 2 * BATCH or held > MOST_BYTES:
                    yield from self._name_group(group)
                    group = []
            group += [future.result() for future in waiting]
            yield from self._name_group(group)

    def _name_group(self, group: list) -> Iterator[list[Head] | PictureError | OSError]:
        named = iter(self.name_heads([head for found in group if isinstance(found, list) for head in found]))
        for found in group:
            yield [next(named) for _ in found] if isinstance(found, list) else found

    def find(self, picture: Picture) -> list[FoundHead]:
        """The heads in a picture, not named. Raises as recognize does."""
        return find_heads(self._detector, pixels(picture))

    def embed(self, heads: Sequence[np.ndarray]) -> np.ndarray:
        """float32 [n, d], unit length, of head pictures (uint8 RGB [h, w, 3] of any size)."""
        size, out = self._encoder.image_size, [np.zeros((0, self._encoder.embedding_size), np.float32)]
        for start in range(0, len(heads), BATCH):
            out.append(self._encoder(np.stack([fit(Image.fromarray(head), size) for head in heads[start : start + BATCH]])))
        return np.concatenate(out)

    def name_heads(self, found: Sequence[FoundHead]) -> list[Head]:
        """Name heads that were found before."""
        heads: list[Head] = []
        for start in range(0, len(found), BATCH):
            some = found[start : start + BATCH]
            embeddings = self.embed([head.picture for head in some])
            monochrome = np.array([is_monochrome(Image.fromarray(head.picture)) for head in some], bool)
            named = self.naming(embeddings, monochrome)
            for row, head in enumerate(some):
                heads.append(
                    Head(
                        head.box,
                        head.confidence,
                        head.whole_picture,
                        bool(monochrome[row]),
                        self._candidates(named.probabilities[row]),
                        self._nearest(named.to_gallery[row]),
                        float(named.unlikeness[row]),
                        float(named.p_values[row]),
                        float(named.stranger_shares[row]),
                    )
                )
        return heads

    def _candidates(self, probabilities: np.ndarray) -> tuple[Candidate, ...]:
        best = np.argsort(-probabilities, kind="stable")[:CANDIDATES]
        return tuple(Candidate(*self.naming.characters[label], float(probabilities[label])) for label in best)

    def _nearest(self, similarities: np.ndarray) -> tuple[Reference, ...]:
        """The most similar reference head of each of the nearest characters."""
        gallery, found = self.naming.gallery, {}
        for row in np.argsort(-similarities, kind="stable"):
            if gallery.characters[row] not in found:
                found[gallery.characters[row]] = row
                if len(found) == CANDIDATES:
                    break
        return tuple(
            Reference(name, self.naming.series[name], min(1.0, float(similarities[row])), gallery.thumbnail(row))
            for name, row in found.items()
        )


def bundle_folder(source: str | Path) -> Path:
    """The folder of a bundle that a path or a URI names. A registered model holds it below `artifacts`."""
    folder = local_path(str(source))
    inside = folder / "artifacts" / "bundle"
    return inside if inside.is_dir() else folder


def pixels(picture: Picture) -> np.ndarray:
    """uint8 RGB [h, w, 3] of encoded bytes, a file, or a Pillow picture. Raises PictureError, OSError."""
    if isinstance(picture, (str, Path)):
        picture = Path(picture).read_bytes()
    return np.asarray(flatten(open_picture(picture) if isinstance(picture, bytes) else upright(picture)))
