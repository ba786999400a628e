"""Reference heads: embeddings, characters and thumbnails, in three files of one folder."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

EMBEDDINGS, ROWS, THUMBNAILS = "gallery.npy", "gallery.json", "thumbnails.bin"
FILES = (EMBEDDINGS, ROWS, THUMBNAILS)
SIDE = 96  # of a thumbnail, pixels


class Gallery:
    """embeddings: float32 [n, d], unit length; characters: n names; thumbnails: n WebP pictures."""

    def __init__(self, folders: Sequence[Path]):
        """Join the galleries of several folders."""
        self.thumbnails: list[bytes] = []  # WebP
        self.characters: list[str] = []
        arrays = []
        for folder in folders:
            arrays.append(np.load(folder / EMBEDDINGS, allow_pickle=False).astype(np.float32))
            data, start = (folder / THUMBNAILS).read_bytes(), 0
            for character, length in json.loads((folder / ROWS).read_text("utf-8")):
                self.characters.append(character)
                self.thumbnails.append(data[start : start + length])
                start += length
        self.embeddings = np.concatenate(arrays)

    def thumbnail(self, row: int) -> bytes:
        return self.thumbnails[row]

    def picture(self, row: int) -> Image.Image:
        """The thumbnail as an RGB picture."""
        with Image.open(io.BytesIO(self.thumbnails[row])) as picture:
            return picture.convert("RGB")


def write(folder: Path, embeddings: np.ndarray, characters: Sequence[str], pictures: Sequence[Image.Image]) -> None:
    """Write a gallery. embeddings: float32 [n, d]; characters: str [n]; pictures: n of them, RGB, any size."""
    write_thumbnails(folder, embeddings, characters, [thumbnail(picture) for picture in pictures])


def write_thumbnails(folder: Path, embeddings: np.ndarray, characters: Sequence[str], thumbnails: Sequence[bytes]) -> None:
    """Like write, with thumbnails that were made before."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / EMBEDDINGS, embeddings.astype(np.float16), allow_pickle=False)
    (folder / THUMBNAILS).write_bytes(b"".join(thumbnails))
    rows = [[str(character), len(data)] for character, data in zip(characters, thumbnails)]
    (folder / ROWS).write_text(json.dumps(rows, ensure_ascii=False), "utf-8")


def thumbnail(picture: Image.Image) -> bytes:
    """WebP of at most SIDE x SIDE pixels."""
    small = picture.copy()
    small.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    small.save(out, "WEBP", quality=80)
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
