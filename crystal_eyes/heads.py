"""Heads as an encoder in training is shown them."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset

from crystal_eyes.augmentation import augment
from crystal_eyes.catalogue import Catalogue, PictureChanged
from crystal_eyes.errors import UserError
from crystal_eyes.pictures import fit, open_picture


class Heads(Dataset):
    """Head pictures by position in `order`, a list of rows; augmented where a seed is given, else as serving sees them."""

    def __init__(
        self,
        catalogue: Catalogue,
        table: pd.DataFrame,
        order,
        size: int,
        seed: tuple[int, int] | None = None,
        views: str = "light",
    ):
        self.catalogue, self.size, self.seed, self.views, self.order = catalogue, size, seed, views, order
        self.places = table[["offset", "length", "digest", "file"]].to_numpy(dtype=object)

    def __len__(self) -> int:
        return len(self.order)

    def __getitems__(self, positions: list[int]) -> list[tuple[np.ndarray, int]]:
        """A whole batch at once, on as many cores as torch may use here: all in the training process, one in a worker."""
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            return list(pool.map(self.__getitem__, positions))

    def __getitem__(self, position: int) -> tuple[np.ndarray, int]:
        row = self.order[position]
        offset, length, digest, file = self.places[row]
        try:
            picture = open_picture(self.catalogue.read(offset, length, digest))
        except PictureChanged:
            raise UserError(f"picture {file} was damaged since prepare checked it: run prepare again") from None
        if self.seed is None:
            return fit(picture, self.size), row
        return augment(picture, self.size, np.random.default_rng([*self.seed, position]), self.views), row
