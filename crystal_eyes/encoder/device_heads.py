"""Heads decoded once, kept on the training device, and turned into views there."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image

from crystal_eyes.encoder.dataset import DecodedHeads
from crystal_eyes.encoder.tensor_views import framed_and_views
from crystal_eyes.progress import track

SIDE = 160  # pixels: heads of datasets are seldom larger, and the largest views in training are no larger either


class DeviceHeads:
    """uint8 [heads, SIDE, SIDE, 4] on a device: colors multiplied by alpha, and alpha. 102 kB a head."""

    def __init__(self, heads: DecodedHeads, device: torch.device):
        self.pixels = torch.empty(len(heads.places), SIDE, SIDE, 4, dtype=torch.uint8, device=device)
        with ThreadPoolExecutor() as pool:
            squares = pool.map(lambda row: _square(heads[row]), range(len(self.pixels)))
            for row, square in enumerate(track(squares, len(self.pixels), "decode heads", "heads")):
                self.pixels[row] = torch.from_numpy(square)

    def views(self, rows: np.ndarray, size: int, seed: Sequence[int], framed: bool) -> torch.Tensor:
        """uint8 [n, size, size, 3]: views of int64 [n] rows, the same for the same seed on the same kind of device.

        framed: [n, 2, size, size, 3], the framed head in its own colors and the view made from it.
        """
        drawn = int(np.random.default_rng(seed).integers(2**62))
        pair = framed_and_views(self.pixels[torch.from_numpy(rows).to(self.pixels.device)], size, drawn)
        return torch.stack(pair, dim=1) if framed else pair[1]


def _square(picture: Image.Image) -> np.ndarray:
    """uint8 [SIDE, SIDE, 4]. The aspect ratio is not kept, as in images.fit."""
    premultiplied = picture.convert("RGBA").convert("RGBa")
    return np.array(premultiplied.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
