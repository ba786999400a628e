"""Training pictures/s, compared with the network alone.

    python benchmarks/recipes/throughput.py CATALOGUE [recipe] [rounds] [image_size]

One training, whose loop alternates between new views (of heads that are decoded already, as from the second epoch on) and
repeating the same batch: in one process and one minute, so that other load on the machine affects both.
"""

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder import loop
from crystal_eyes.encoder.dataset import DecodedHeads
from crystal_eyes.encoder.metric_learning import train_encoder
from crystal_eyes.encoder.network import Encoder, EncoderDescription
from pipeline.parameters.recipes import RECIPES

STEPS, WARM = 10, 5


class Enough(Exception):
    pass


def main(catalogue: str, name: str = "best", rounds: str = "6", image_size: str = "0") -> None:
    recipe = RECIPES[name]
    options = recipe.training_options(epochs=recipe.epochs)
    seconds: dict[str, list[float]] = {"training": [], "network alone": []}

    def alternate(batches: Iterator, *_) -> Iterator:
        for _ in range(WARM):
            yield next(batches)
        for _ in range(int(rounds)):
            start = time.perf_counter()
            for _ in range(STEPS):
                kept = next(batches)
                yield kept
            middle = time.perf_counter()
            for _ in range(STEPS):
                yield kept
            seconds["training"].append(middle - start)
            seconds["network alone"].append(time.perf_counter() - middle)
        raise Enough

    class AllDecoded(DecodedHeads):
        def __init__(self, *given):
            super().__init__(*given)
            for row in range(len(self.places)):
                self[row]

    loop.track, loop.DecodedHeads = alternate, AllDecoded
    torch.manual_seed(0)
    encoder = Encoder(EncoderDescription(recipe.backbone, recipe.embedding_size, int(image_size) or recipe.image_size))
    with contextlib.suppress(Enough):
        train_encoder(encoder, Catalogue(Path(catalogue)), options, Path(tempfile.mkdtemp()), print)
    for what, values in seconds.items():
        rates = STEPS * options.batch_size / np.array(values)
        print(f"{what}: {np.median(rates):.1f} pictures/s ({rates.min():.1f} to {rates.max():.1f})")
    ratios = np.array(seconds["network alone"]) / np.array(seconds["training"])
    print(f"ratio: {np.median(ratios):.3f} ({ratios.min():.3f} to {ratios.max():.3f})")


if __name__ == "__main__":
    main(*sys.argv[1:])
