"""Finds pictures whose heads are already in a bundle."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from crystal_eyes.image_stats import difference_hash
from crystal_eyes.recognizer.gallery import SIDE
from crystal_eyes.recognizer.naming import Naming, cosines

DUPLICATE_BITS = 6  # of 256: pictures whose hashes differ in at most this many bits are duplicates
SAME_BITS = 12  # the same for a picture and a thumbnail, which is smaller and compressed
SIMILAR = 0.9  # cosine: only heads this similar are compared


@dataclass(frozen=True)
class Hashes:
    """uint64 [4] each: of a picture and of its mirror image."""

    upright: np.ndarray
    mirrored: np.ndarray

    @classmethod
    def of(cls, picture: Image.Image) -> "Hashes":
        return cls(difference_hash(picture), difference_hash(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)))

    def differ(self, other: np.ndarray) -> int:
        """Bits in which a hash differs from this picture's, or from its mirror image's if those are fewer."""
        return int(min(np.bitwise_count(other ^ own).sum() for own in (self.upright, self.mirrored)))


def label_of_same_picture(naming: Naming, embedding: np.ndarray, picture: Image.Image) -> int | None:
    """The label of the character that has a reference head from the same picture, or None. embedding: float32 [d].

    Reference heads without a picture are not compared.
    """
    similar = cosines(embedding[None], naming.gallery.embeddings)[0]
    rows = np.flatnonzero((similar >= SIMILAR) & np.array([bool(one) for one in naming.gallery.thumbnails]))
    if not len(rows):
        return None
    hashes = Hashes.of(_small(picture))
    for row in rows[np.argsort(-similar[rows], kind="stable")]:
        if hashes.differ(difference_hash(_small(naming.gallery.picture(row)))) <= SAME_BITS:
            return int(naming.gallery_labels[row])
    return None


def _small(picture: Image.Image) -> Image.Image:
    """As large as a trained character's thumbnail."""
    small = picture.copy()
    small.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC)
    return small
