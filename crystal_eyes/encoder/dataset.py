"""Heads as an encoder in training is shown them."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch.utils.data import Dataset

from crystal_eyes.data.catalogue import Catalogue, PictureChanged
from crystal_eyes.encoder.augmentation import augment, framed_and_seen
from crystal_eyes.errors import UserError
from crystal_eyes.images import fit, open_picture
from crystal_eyes.machine import memory

MOST = 1 << 30  # bytes of decoded pictures that are kept


def room() -> int:
    """Bytes for decoded pictures: an eighth of what this machine has, at most MOST."""
    return min(MOST, memory() // 8)


class Pictures:
    """The pictures of a catalogue's table by row. Once decoded they are kept, as long as there is room."""

    def __init__(self, catalogue: Catalogue, table: pd.DataFrame, room: int = 0):
        self.catalogue, self.room = catalogue, room
        self.places = table[["offset", "length", "digest", "file"]].to_numpy(dtype=object)
        self.kept: dict[int, Image.Image] = {}

    def __getitem__(self, row: int) -> Image.Image:
        if row in self.kept:
            return self.kept[row]
        offset, length, digest, file = self.places[row]
        try:
            picture = open_picture(self.catalogue.read(offset, length, digest))
        except PictureChanged:
            raise UserError(f"picture {file} was damaged since prepare checked it: run prepare again") from None
        size = 4 * picture.width * picture.height
        # threads may come to the same picture at once: it counts once
        if size <= self.room and self.kept.setdefault(row, picture) is picture:
            self.room -= size
        return picture


class Heads(Dataset):
    """Head pictures by position in `order`, a list of rows; augmented where a seed is given, else as serving sees them.

    framed: give both, the head as it was framed and the view (uint8 [2, size, size, 3]), not the view alone.
    """

    def __init__(
        self,
        pictures: Pictures,
        order,
        size: int,
        seed: tuple[int, int] | None = None,
        views: str = "light",
        framed: bool = False,
    ):
        self.pictures, self.size, self.seed, self.views, self.order = pictures, size, seed, views, order
        self.framed = framed

    def __len__(self) -> int:
        return len(self.order)

    def __getitems__(self, positions: list[int]) -> list[tuple[np.ndarray, int]]:
        """A whole batch at once, on as many cores as torch may use here: all in the training process, one in a worker."""
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            return list(pool.map(self.__getitem__, positions))

    def __getitem__(self, position: int) -> tuple[np.ndarray, int]:
        row = self.order[position]
        if self.seed is None:
            return fit(self.pictures[row], self.size), row
        rng = np.random.default_rng([*self.seed, position])
        if self.framed:
            return np.stack(framed_and_seen(self.pictures[row], self.size, rng, self.views)), row
        return augment(self.pictures[row], self.size, rng, self.views), row
