"""The recognizer: picture in, named heads out."""

import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from PIL import Image

from crystal_eyes.artifacts import is_uri, local_path
from crystal_eyes.detector.defaults import NORMAL
from crystal_eyes.detector.runtime import HeadDetector
from crystal_eyes.encoder.runtime import OnnxEncoder
from crystal_eyes.errors import UserError
from crystal_eyes.image_stats import is_monochrome
from crystal_eyes.images import PictureError, fit
from crystal_eyes.recognizer.answers import Candidate, Head, Reference
from crystal_eyes.recognizer.bundle import DETECTOR, ENCODER, Bundle, open_bundle
from crystal_eyes.recognizer.default import choose_bundle
from crystal_eyes.recognizer.finding import FoundHead, Search, find_heads
from crystal_eyes.recognizer.naming import Named, Naming
from crystal_eyes.recognizer.pictures import Picture, pixels
from crystal_eyes.recognizer.places import LISTING, RELEASED

CANDIDATES = 5
BATCH = 32  # heads per call of the encoder: larger batches are slower per head and take more memory
MAX_WAITING_BYTES = 64_000_000  # of heads that wait for a full batch

Found = list[FoundHead] | PictureError | OSError  # the heads in a picture, or why it could not be read


class EmbeddedHeads(NamedTuple):
    """The heads in a picture, not named."""

    heads: list[FoundHead]
    embeddings: np.ndarray  # float32 [n, d], unit length


class Recognizer:
    """Finds the heads in pictures and names them. Safe to use from several threads."""

    def __init__(self, bundle: Bundle, threads: int | None = None):
        self.bundle = bundle
        self._detector = HeadDetector(bundle.trained / DETECTOR, threads=threads)
        self._encoder = OnnxEncoder(bundle.trained / ENCODER, threads)
        self.naming = Naming(bundle, threads)

    @classmethod
    def load(cls, source: str | Path | None = None, threads: int | None = None) -> Self:
        """Open a bundle: a folder, `released` (the one that comes with Crystal Eyes, with what was enrolled into it), or with
        MLflow installed `models:/crystal-eyes@champion` or `runs:/ID/bundle`.

        None: the default, see default.choose_bundle; which one that is is said on stderr.
        threads: for one call of a network; None: one per core. A bundle that another process changes meanwhile is read as it
        was before or after that change. Raises UserError if there is no intact bundle.
        """
        chosen = choose_bundle() if source is None else None
        source = chosen.source if chosen else str(source)
        folder = bundle_folder(source)
        try:
            loaded = open_bundle(folder, lambda bundle: cls(bundle, threads))
        except UserError as error:  # of a download, the user knows the source rather than the temporary folder
            raise UserError(str(error).replace(str(folder), source) if is_uri(source) else str(error)) from None
        if chosen:
            print(chosen.describe(loaded.bundle), file=sys.stderr)
        return loaded

    def recognize(self, picture: Picture, *, detail: str = NORMAL, head: bool = False) -> list[Head]:
        """The heads in a picture, most confident first; empty: none was found.

        detail: "high" finds small heads too and takes longer. head: the picture is one head, which is not searched for.
        picture: encoded bytes, a path, an open binary file, a Pillow picture, or a uint8 array: [h, w, 3] (RGB), [h, w, 4]
        (RGBA) or [h, w] (gray). Raises PictureError: not usable; OSError: not a readable file; TypeError: none of these;
        ValueError: another detail, or high detail of a picture that is one head.
        """
        return self.name_heads(self.find(picture, detail=detail, head=head))

    def recognize_many(
        self, pictures: Iterable[Picture], *, detail: str = NORMAL, head: bool = False
    ) -> Iterator[list[Head] | PictureError | OSError]:
        """For each picture, in order, its heads, or the error if it can't be read. Uses all cores; memory use is constant.

        Pictures are read and searched in parallel; their heads are embedded in batches, so results may differ from
        those of `recognize` by floating-point rounding. detail, head: as there, for all pictures. Raises TypeError for
        what is not a picture, or a single one; ValueError as there.
        """
        for group in self._find_in_groups(pictures, Search(detail, head)):
            yield from self._name_group(group)

    def embed_many(self, pictures: Iterable[Picture]) -> Iterator[EmbeddedHeads | PictureError | OSError]:
        """Like recognize_many, but heads are embedded and not named."""
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
        detector = HeadDetector(self.bundle.trained / DETECTOR, threads=1)

        def find(picture: Picture) -> Found:
            try:
                return find_heads(detector, pixels(picture), search)
            except (PictureError, OSError) as error:
                return error
            except MemoryError:
                return PictureError("too large for the memory of this machine")

        cores = os.cpu_count() or 1
        with ThreadPoolExecutor(cores) as pool:
            waiting: deque[Future[Found]] = deque()
            group: list[Found] = []
            for picture in pictures:
                waiting.append(pool.submit(find, picture))
                if len(waiting) > 2 * cores:
                    group.append(waiting.popleft().result())
                heads = [head for found in group if isinstance(found, list) for head in found]
                held = sum(head.picture.nbytes for head in heads)
                if len(heads) >= BATCH or len(group) >= 2 * BATCH or held > MAX_WAITING_BYTES:
                    yield group
                    group = []
            group += [future.result() for future in waiting]
            yield group

    def _name_group(self, group: list[Found]) -> Iterator[list[Head] | PictureError | OSError]:
        named = iter(self.name_heads([head for found in group if isinstance(found, list) for head in found]))
        for found in group:
            yield [next(named) for _ in found] if isinstance(found, list) else found

    def find(self, picture: Picture, *, detail: str = NORMAL, head: bool = False) -> list[FoundHead]:
        """The heads in a picture, not named. detail, head, and what it raises: as recognize."""
        return find_heads(self._detector, pixels(picture), Search(detail, head))

    def embed(self, heads: Sequence[np.ndarray]) -> np.ndarray:
        """float32 [n, d], unit length: embeddings of n head crops (uint8 RGB [h, w, 3] of any size)."""
        size, out = self._encoder.image_size, [np.zeros((0, self._encoder.embedding_size), np.float32)]
        for start in range(0, len(heads), BATCH):
            out.append(self._encoder(np.stack([fit(Image.fromarray(head), size) for head in heads[start : start + BATCH]])))
        return np.concatenate(out)

    def name_heads(self, found: Sequence[FoundHead]) -> list[Head]:
        """Name heads that `find` returned, in the same order."""
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
                        self._candidates(named, row),
                        self._nearest(named, row),
                        float(named.unlikeness[row]),
                        float(named.p_values[row]),
                        float(named.stranger_shares[row]),
                        self.naming.likely_series(named.probabilities[row], named.stored.known),
                        max(0.0, 1 - float(named.probabilities[row].sum() + named.others[row])),
                    )
                )
        return heads

    def _candidates(self, named: Named, row: int) -> tuple[Candidate, ...]:
        probabilities = named.probabilities[row]
        best = np.argsort(-probabilities, kind="stable")[:CANDIDATES]
        answers = []
        for label in best:
            its = self.naming.who(named, label)
            answers.append(Candidate(its.character, its.series, float(probabilities[label]), its.original_name))
        return tuple(answers)

    def _nearest(self, named: Named, row: int) -> tuple[Reference, ...]:
        """The most similar reference head of each of the nearest characters."""
        similarities, labels = named.to_gallery[row], self.naming.labels(named)
        found: dict[int, int] = {}
        for place in np.argsort(-similarities, kind="stable"):
            if labels[place] not in found:
                found[labels[place]] = int(place)
                if len(found) == CANDIDATES:
                    break
        answers = []
        for label, place in found.items():
            its, similarity = self.naming.who(named, label), min(1.0, float(similarities[place]))
            thumbnail = self.naming.thumbnail(named, place)
            answers.append(Reference(its.character, its.series, similarity, thumbnail, its.original_name))
        return tuple(answers)


def bundle_folder(source: str | Path) -> Path:
    """The folder of the bundle that a path (also that of its bundle.json), a URI, or `released` names.

    A registered model holds it in `artifacts/bundle`.
    """
    if str(source) == RELEASED:
        from crystal_eyes.recognizer.released import released_bundle  # which needs a recognizer

        return released_bundle()
    folder = local_path(str(source))
    if folder.name == LISTING and folder.is_file():
        folder = folder.parent
    inside = folder / "artifacts" / "bundle"
    folder = inside if inside.is_dir() else folder
    if is_uri(str(source)) and not (folder / LISTING).is_file():
        raise UserError(f"{source} is not a bundle: it contains no {LISTING}")
    return folder
