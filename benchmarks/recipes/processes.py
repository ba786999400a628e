"""The same training in one process and in several, with several seeds: MAP@R of its epochs, and pictures a second.

    python benchmarks/recipes/processes.py CATALOGUE [processes] [epochs] [image_size] [seeds]     # 2, 4, 64 and 3

Recipe best. MAP@R is that of unseen characters, which selects the best epoch. One process is `engine=local`.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crystal_eyes.encoder.network import EncoderDescription
from crystal_eyes.encoder.options import Processes
from pipeline.parameters.recipes import RECIPES
from steps.compute.train import train


def measure(catalogue: Path, processes: int, epochs: int, image_size: int, seed: int) -> list[dict[str, float]]:
    """The metrics of each epoch. processes: 1 is a training without torchrun."""
    recipe = RECIPES["best"]
    description = EncoderDescription(recipe.backbone, recipe.embedding_size, image_size, 0.0, recipe.drop_connect_rate)
    history: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        train(
            catalogue, description, recipe.weights, recipe.training_options(epochs=epochs, seed=seed), Path(folder),
            lambda _, metrics: history.append(metrics), Processes(processes) if processes > 1 else None,
        )  # fmt: skip
    return history


def main() -> None:
    processes, epochs, image_size, seeds = (int(text) for text in (*sys.argv[2:], *("2", "4", "64", "3")[len(sys.argv) - 2 :]))
    best: dict[int, list[float]] = {1: [], processes: []}
    for seed in range(seeds):
        for count, found in best.items():
            history = measure(Path(sys.argv[1]), count, epochs, image_size, seed)
            found.append(max(metrics["map_at_r"] for metrics in history))
            by_epoch = ", ".join(f"{metrics['map_at_r']:.4f}" for metrics in history)
            rate = np.median([metrics["pictures_per_second"] for metrics in history])
            print(f"seed {seed}, {count} processes: MAP@R {by_epoch}; {rate:.0f} pictures/s", flush=True)
    for count, found in best.items():
        print(f"{count} processes: best MAP@R {np.mean(found):.4f} ({min(found):.4f} to {max(found):.4f})")


if __name__ == "__main__":
    main()
