"""Reference heads: embeddings, characters and thumbnails, in three files of one folder.

gallery.npy      float16 or int8 [n, d]: embeddings
gallery.json     [character, bytes of the thumbnail]; 0 bytes where the gallery holds no pictures
thumbnails.bin   the thumbnails, one after the other
"""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from crystal_eyes.vectors import in_8_bits, unit

EMBEDDINGS, ROWS, THUMBNAILS = "gallery.npy", "gallery.json", "thumbnails.bin"
FILES = (EMBEDDINGS, ROWS, THUMBNAILS)
SIDE = 96  # of a thumbnail, pixels
MIN_8_BITS = 256  # dimensions of an embedding from which 8 bits are precise enough


class Gallery:
    """embeddings: float32 [n, d], unit length; characters: n names; thumbnails: n WebP pictures, empty where there are none."""

    def __init__(self, folders: Sequence[Path]):
        """Join the galleries of several folders."""
        self.thumbnails: list[bytes] = []  # WebP
        self.characters: list[str] = []
        arrays = []
        for folder in folders:
            arrays.append(from_stored(np.load(folder / EMBEDDINGS, allow_pickle=False)))
            data, start = (folder / THUMBNAILS).read_bytes(), 0
            for character, length in json.loads((folder / ROWS).read_text("utf-8")):
                self.characters.append(character)
                self.thumbnails.append(data[start : start + length])
                start += length
        self.embeddings = np.concatenate(arrays)

    def thumbnail(self, row: int) -> bytes:
        return self.thumbnails[row]

    def picture(self, row: int) -> Image.Image:
        """The thumbnail as an RGB picture. Only where there is one."""
        return decoded(self.thumbnails[row])


def decoded(thumbnail: bytes) -> Image.Image:
    """RGB, of a thumbnail."""
    with Image.open(io.BytesIO(thumbnail)) as picture:
        return picture.convert("RGB")


def compact(embeddings: np.ndarray) -> np.ndarray:
    """int8 [n, d] of unit-length embeddings float32 [n, d]: their direction, to which a length of 1 belongs.

    With 512 dimensions, a cosine changes by less than 0.002. With less than MIN_8_BITS dimensions the change would be larger
    and little is saved: float16.
    """
    return embeddings.astype(np.float16) if embeddings.shape[1] < MIN_8_BITS else in_8_bits(embeddings)


def from_stored(stored: np.ndarray) -> np.ndarray:
    """float32 [n, d] of stored embeddings, float16 or int8 (see compact)."""
    return unit(stored) if stored.dtype == np.int8 else stored.astype(np.float32)


def write(folder: Path, embeddings: np.ndarray, characters: Sequence[str], pictures: Sequence[Image.Image]) -> None:
    """Write a gallery. embeddings: [n, d], stored as they are if int8, else as float16; characters: str [n]; pictures: n of
    them, RGB, any size."""
    write_thumbnails(folder, embeddings, characters, [thumbnail(picture) for picture in pictures])


def write_thumbnails(folder: Path, embeddings: np.ndarray, characters: Sequence[str], thumbnails: Sequence[bytes]) -> None:
    """Like write, with thumbnails that were made before."""
    folder.mkdir(parents=True, exist_ok=True)
    stored = embeddings if embeddings.dtype == np.int8 else embeddings.astype(np.float16)
    np.save(folder / EMBEDDINGS, stored, allow_pickle=False)
    (folder / THUMBNAILS).write_bytes(b"".join(thumbnails))
    rows = [[str(character), len(data)] for character, data in zip(characters, thumbnails)]
    (folder / ROWS).write_text(json.dumps(rows, ensure_ascii=False), "utf-8")


def thumbnail(picture: Image.Image, side: int = SIDE, quality: int = 80) -> bytes:
    """WebP of at most side x side pixels."""
    small = picture.copy()
    small.thumbnail((side, side), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    small.save(out, "WEBP", quality=quality)
    return out.getvalue()


def representative(embeddings: np.ndarray, count: int) -> np.ndarray:
    """int [at most count]: rows that represent all: the one nearest to the mean, then repeatedly the one farthest from those.

    embeddings: float32 [n, d], unit length. (Gonzalez, Clustering to minimize the maximum intercluster distance, 1985.)
    """
    chosen = [int((embeddings @ embeddings.mean(axis=0)).argmax())]
    nearest = embeddings @ embeddings[chosen[0]]
    while len(chosen) < min(count, len(embeddings)):
        nearest[chosen] = np.inf
        chosen.append(int(nearest.argmin()))
        nearest = np.maximum(nearest, embeddings @ embeddings[chosen[-1]])
    return np.array(chosen)
