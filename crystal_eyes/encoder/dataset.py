"""The torch dataset that training reads: decoded heads, and augmented views of them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch.utils.data import Dataset

from crystal_eyes.data.catalogue import Catalogue, PictureChanged
from crystal_eyes.encoder.augmentation import augment, framed_and_augmented
from crystal_eyes.encoder.distributed import processes_here
from crystal_eyes.errors import UserError
from crystal_eyes.images import fit, open_picture
from crystal_eyes.machine import memory

MAX_CACHE_BYTES = 1 << 30


def cache_bytes() -> int:
    """How many bytes of decoded heads may be kept: an eighth of this process's share of memory, at most MAX_CACHE_BYTES."""
    return min(MAX_CACHE_BYTES, memory() // 8 // processes_here())


class DecodedHeads:
    """The heads of a catalogue's table by row, decoded. Kept in memory as long as cache_bytes last."""

    def __init__(self, catalogue: Catalogue, table: pd.DataFrame, cache_bytes: int = 0):
        self.catalogue, self.bytes_left = catalogue, cache_bytes
        self.places = table[["offset", "length", "digest", "file"]].to_numpy(dtype=object)
        self.cache: dict[int, Image.Image] = {}

    def __getitem__(self, row: int) -> Image.Image:
        if row in self.cache:
            return self.cache[row]
        offset, length, digest, file = self.places[row]
        try:
            picture = open_picture(self.catalogue.read(offset, length, digest))
        except PictureChanged:
            raise UserError(f"picture {file} was changed after the catalogue was written: rebuild the catalogue") from None
        size = 4 * picture.width * picture.height
        # two threads may decode the same head at once: it is counted once
        if size <= self.bytes_left and self.cache.setdefault(row, picture) is picture:
            self.bytes_left -= size
        return picture


class HeadViews(Dataset):
    """Views of heads by position in `order`, a sequence of rows: augmented where a seed is given, else as serving sees them.

    An item is (view, row): uint8 RGB [size, size, 3]; with framed=True uint8 [2, size, size, 3], the framed head in its own
    colors and the view made from it.
    """

    def __init__(
        self,
        heads: DecodedHeads,
        order: Sequence[int] | np.ndarray,
        size: int,
        seed: tuple[int, int] | None = None,
        views: str = "light",
        framed: bool = False,
    ):
        self.heads, self.order, self.size, self.seed, self.views, self.framed = heads, order, size, seed, views, framed

    def __len__(self) -> int:
        return len(self.order)

    def __getitems__(self, positions: list[int]) -> list[tuple[np.ndarray, int]]:
        """A whole batch, on as many cores as torch may use: all of them in the training process, one in a worker."""
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            return list(pool.map(self.__getitem__, positions))

    def __getitem__(self, position: int) -> tuple[np.ndarray, int]:
        row = self.order[position]
        if self.seed is None:
            return fit(self.heads[row], self.size), row
        rng = np.random.default_rng([*self.seed, position])
        if self.framed:
            return np.stack([np.array(one) for one in framed_and_augmented(self.heads[row], self.size, rng, self.views)]), row
        return augment(self.heads[row], self.size, rng, self.views), row
