"""The recognizer: picture in, named heads out."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from PIL import Image

from crystal_eyes.artifacts import is_uri, local_path
from crystal_eyes.detector.defaults import NORMAL
from crystal_eyes.encoder.defaults import BATCH
from crystal_eyes.errors import UserError
from crystal_eyes.image_stats import is_monochrome
from crystal_eyes.images import PictureError
from crystal_eyes.recognizer.answers import Candidate, Head, Reference
from crystal_eyes.recognizer.bundle import DETECTOR, ENCODER, Bundle, open_bundle
from crystal_eyes.recognizer.default import choose_bundle
from crystal_eyes.recognizer.embedding import Embedder, Found
from crystal_eyes.recognizer.finding import FoundHead, Search
from crystal_eyes.recognizer.naming import Named, Naming
from crystal_eyes.recognizer.pictures import Picture
from crystal_eyes.recognizer.places import LISTING, RELEASED

CANDIDATES = 5


class Recognizer(Embedder):
    """Finds the heads in pictures and names them. Safe to use from several threads."""

    def __init__(self, bundle: Bundle, threads: int | None = None):
        self.bundle = bundle
        super().__init__(bundle.trained / DETECTOR, bundle.trained / ENCODER, threads)
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

    def _name_group(self, group: list[Found]) -> Iterator[list[Head] | PictureError | OSError]:
        named = iter(self.name_heads([head for found in group if isinstance(found, list) for head in found]))
        for found in group:
            yield [next(named) for _ in found] if isinstance(found, list) else found

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
