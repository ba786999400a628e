"""Finds pictures whose heads are already in a bundle."""

import numpy as np
from PIL import Image

from crystal_eyes.data.options import DUPLICATE_BITS
from crystal_eyes.image_stats import difference_hash, hashes_of_sides
from crystal_eyes.recognizer.characters import Known
from crystal_eyes.recognizer.gallery import SIDE, decoded
from crystal_eyes.recognizer.naming import Naming, cosines

SAME_BITS = 12  # by which the hashes of a picture and of its thumbnail, which is compressed, may differ
SIMILAR = 0.9  # cosine: only heads this similar are compared


def is_duplicate(sides: np.ndarray, other: np.ndarray, bits: int = DUPLICATE_BITS) -> bool:
    """Whether a picture with these hashes_of_sides, or its mirror image, is the one with the difference hash `other`."""
    return bool(np.bitwise_count(sides ^ other).sum(axis=1).min() <= bits)


def known_by_same_picture(naming: Naming, embedding: np.ndarray, picture: Image.Image) -> Known | None:
    """The character that has a reference head from the same picture, or None. embedding: float32 [d].

    Reference heads without a picture are not compared.
    """
    similar = cosines(embedding[None], naming.gallery.embeddings)[0]
    rows = np.flatnonzero((similar >= SIMILAR) & np.array([bool(one) for one in naming.gallery.thumbnails]))
    sides = hashes_of_sides(_small(picture))
    for row in rows[np.argsort(-similar[rows], kind="stable")]:
        if is_duplicate(sides, difference_hash(_small(naming.gallery.picture(row))), SAME_BITS):
            return naming.known[naming.gallery_labels[row]]
    stored = naming.stored
    for one in stored.near(embedding, SIMILAR) if stored else ():
        for _, thumbnail in stored.pictures_of(one) if stored else ():
            if is_duplicate(sides, difference_hash(_small(decoded(thumbnail))), SAME_BITS):
                return one
    return None


def _small(picture: Image.Image) -> Image.Image:
    """As large as a trained character's thumbnail."""
    small = picture.copy()
    small.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC)
    return small
