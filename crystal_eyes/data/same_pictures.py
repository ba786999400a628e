"""Finds pictures that stand under two characters: equal ones, also re-encoded, resized, mirrored, brighter or darker."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from crystal_eyes.data.options import DUPLICATE_BITS
from crystal_eyes.image_stats import HASH_SIDE

PARTS = 8  # of a hash: if fewer bits differ, one part is equal
COLORS = 24  # of 255, by which a cell of two thumbnails may differ: look-alikes in one pose differ more, in their eyes at least
MAX_GAIN = 2.5  # by which contrast may differ
FLAT = 10  # of 255: standard deviation among cells, of each color, below which pictures differ by their brightness alone
THUMBNAIL = 16  # cells a side
SPREAD = 37  # odd: part k holds bits from all over the picture, since neighboring bits are often equal in all pictures


def thumbnail(picture: Image.Image) -> np.ndarray:
    """uint8 [THUMBNAIL, THUMBNAIL, 3] of an RGB picture: the mean colors of its cells."""
    return np.asarray(picture.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))


def is_flat(thumbnails: np.ndarray) -> np.ndarray:
    """bool [n]: whether the cells of a thumbnail hardly differ. thumbnails: uint8 [n, THUMBNAIL, THUMBNAIL, 3]."""
    return thumbnails.std(axis=(1, 2), dtype=np.float32).max(axis=1, initial=0) < FLAT


def same_elsewhere(hashes: np.ndarray, thumbnails: np.ndarray, characters: np.ndarray) -> np.ndarray:
    """int64 [n]: for each picture, one that is the same under another character, or -1.

    hashes: uint64 [n, 2, 4], of the picture and of its mirror image; thumbnails: uint8 [n, THUMBNAIL, THUMBNAIL, 3];
    characters: int [n].
    """
    found = np.full(len(hashes), -1)
    # pictures of a character that are alike in everything count once
    alike = np.concatenate([hashes.reshape(len(hashes), -1).view(np.uint8), thumbnails.reshape(len(hashes), -1)], axis=1)
    keys = [bytes(row) + int(character).to_bytes(4, "little") for row, character in zip(alike, characters)]
    first = {key: row for row, key in reversed(list(enumerate(keys)))}
    rows = np.array(sorted(first.values()), dtype=np.int64)
    for one, others in _candidates(hashes, rows, characters, thumbnails):
        theirs, own = hashes[others], hashes[one]
        turns = np.concatenate([theirs[:, :1] ^ own, theirs[:, 1:] ^ own[0]], axis=1)  # as it is, one of the two mirrored
        others = others[(np.bitwise_count(turns).sum(axis=2) <= DUPLICATE_BITS).any(axis=1)]
        equal = [_same_colors(view, thumbnails[others]) for view in (thumbnails[one], thumbnails[one][:, ::-1])]
        for other in others[equal[0] | equal[1]]:
            for row, twin in ((one, other), (other, one)):
                found[row] = twin if found[row] < 0 else min(found[row], twin)
    return np.array([found[first[key]] for key in keys], dtype=np.int64)


def _same_colors(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """bool [n]: whether thumbnails differ from one by at most COLORS in every cell, as they are or with one brightness and
    contrast, the same for red, green and blue: a palette swap is another picture.

    one: uint8 [THUMBNAIL, THUMBNAIL, 3]; others: uint8 [n, THUMBNAIL, THUMBNAIL, 3].
    """
    own, their = one.reshape(1, -1).astype(np.float32), others.reshape(len(others), one.size).astype(np.float32)
    as_they_are = np.abs(their - own).max(axis=1) <= COLORS
    own, their = own - own.mean(), their - their.mean(axis=1, keepdims=True)
    spreads = np.stack([np.broadcast_to((own**2).mean(), len(their)), (their**2).mean(axis=1)])  # variances
    gain = (own * their).mean(axis=1) / spreads.min(axis=0).clip(1e-6)  # of the duller one, least squares
    steeper = (spreads[1] >= spreads[0])[:, None]
    rest = np.where(steeper, their - gain[:, None] * own, own - gain[:, None] * their)
    relit = (np.abs(rest).max(axis=1) <= COLORS) & (gain > 0) & (gain <= MAX_GAIN)
    return as_they_are | (relit & ~is_flat(others) & ~is_flat(one[None]))


def _candidates(
    hashes: np.ndarray, rows: np.ndarray, characters: np.ndarray, thumbnails: np.ndarray
) -> Iterator[tuple[int, np.ndarray]]:
    """(row, rows of other characters that share a part of its hash or of its mirror image's).

    Flat pictures only where their mean colors are near: thousands of pictures of one color have one hash.
    """
    colors = thumbnails.mean(axis=(1, 2), dtype=np.float32)  # [n, 3]
    flat = is_flat(thumbnails)
    order = np.arange(HASH_SIDE**2) * SPREAD % HASH_SIDE**2
    rows = rows[np.argsort(colors[rows, 0], kind="stable")]
    parts = [_parts(hashes[rows, side], order) for side in (0, 1)]  # uint32 [rows, PARTS] each
    places = np.tile(np.arange(len(rows)), 2)
    for part in range(PARTS):
        values = np.concatenate([parts[0][:, part], parts[1][:, part]])
        by_value = np.argsort(values, kind="stable")
        borders = np.flatnonzero(np.diff(values[by_value])) + 1
        starts, ends = np.concatenate([[0], borders]), np.concatenate([borders, [len(values)]])
        for start, end in zip(starts[ends - starts > 1], ends[ends - starts > 1]):
            group = rows[np.unique(places[by_value[start:end]])]  # the darkest first
            if not np.ptp(characters[group]):
                continue
            last = np.searchsorted(colors[group, 0], colors[group, 0] + COLORS, side="right")
            for place, one in enumerate(group):
                others = group[place + 1 : last[place] if flat[one] else None]
                others = others[characters[others] != characters[one]]
                near = np.abs(colors[others] - colors[one]).max(axis=1, initial=0) <= COLORS
                others = others[near | ~(flat[others] | flat[one])]
                if len(others):
                    yield int(one), others


def _parts(hashes: np.ndarray, order: np.ndarray) -> np.ndarray:
    bits = np.unpackbits(np.ascontiguousarray(hashes).view(np.uint8), axis=1)[:, order]
    return np.ascontiguousarray(np.packbits(bits, axis=1)).view(np.uint32)
