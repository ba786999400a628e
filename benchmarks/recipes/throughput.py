"""Pictures/s of training beside those of the network alone.

    python benchmarks/recipes/throughput.py CATALOGUE [recipe] [rounds] [image_size]

One training, whose loop gets by turns new pictures (augmented; decoded before, as from the second epoch on) and the same batch
again: same process, same minute, so what else the machine does falls on both.
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
from crystal_eyes.encoder import loop as training
from crystal_eyes.encoder.dataset import Pictures
from crystal_eyes.encoder.network import Description, Encoder, metric_learning
from crystal_eyes.encoder.recipes import RECIPES, filled
from pipeline.parameters.steps import Train

STEPS, WARM = 10, 5


class Enough(Exception):
    pass


def main(catalogue: str, name: str = "best", rounds: str = "6", image_size: str = "0") -> None:
    recipe, config = RECIPES[name], filled(Train(recipe=name, image_size=int(image_size)))
    seconds: dict[str, list[float]] = {"training": [], "network alone": []}

    def turns(batches: Iterator, *_) -> Iterator:
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

    class Decoded(Pictures):
        def __init__(self, *given):
            super().__init__(*given)
            for row in range(len(self.places)):
                self[row]

    training.track, training.Pictures = turns, Decoded
    torch.manual_seed(0)
    encoder = Encoder(Description(recipe.backbone, recipe.embedding_size, config.image_size))
    with contextlib.suppress(Enough):
        metric_learning.train(encoder, Catalogue(Path(catalogue)), config, recipe, Path(tempfile.mkdtemp()), print)
    for what, values in seconds.items():
        rates = STEPS * config.batch_size / np.array(values)
        print(f"{what}: {np.median(rates):.1f} pictures/s ({rates.min():.1f} to {rates.max():.1f})")
    ratios = np.array(seconds["network alone"]) / np.array(seconds["training"])
    print(f"ratio: {np.median(ratios):.3f} ({ratios.min():.3f} to {ratios.max():.3f})")


if __name__ == "__main__":
    main(*sys.argv[1:])
