"""A made-up table of embeddings, and embeddings of a made-up encoder."""

import numpy as np
import pandas as pd

from crystal_eyes.data.options import SplitOptions
from crystal_eyes.data.splits import assign_splits
from crystal_eyes.recognizer.build.labeled_heads import LabeledHeads

D = 12


def table(seed: int, characters: int = 10, pictures: int = 12, artworks: int = 6, shared: bool = False) -> pd.DataFrame:
    """A table of embeddings as prepare and embed leave it. shared: a few artworks show two characters."""
    rng = np.random.default_rng(seed)
    rows = []
    for character in range(characters):
        for number in range(pictures):
            artwork = f"{character // 2 if shared and number < 2 else character} art {rng.integers(artworks)}"
            file = f"{character}/{number}.png"
            rows.append((file, f"Name {character}", "" if number % 4 == 0 else artwork))
    made = pd.DataFrame(rows, columns=["file", "character", "artwork"]).assign(split="", set="", series="", monochrome=False)
    return assign_splits(made, SplitOptions(6, 6, 0.2, 0.2), seed)


def artworks_of(some: pd.DataFrame) -> set[str]:
    return set(np.where(some["artwork"] != "", some["artwork"], some["file"]))


def embeddings(characters: list[str], seed: int, spread: float = 0.5) -> np.ndarray:
    centers = {name: np.random.default_rng(int(name[1:])).normal(size=D) for name in set(characters)}
    x = np.stack([centers[name] for name in characters]) + spread * np.random.default_rng(seed).normal(
        size=(len(characters), D)
    )
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def heads(first: int, last: int, each: int, seed: int, line: float = 0.3, spread: float = 0.5) -> LabeledHeads:
    """Heads of characters c<first> to c<last - 1>."""
    characters = [f"c{number:02d}" for number in range(first, last)] * each
    rng = np.random.default_rng(seed)
    drawn = rng.random(len(characters)) < line
    made = drawn & (rng.random(len(characters)) < 0.5)
    return LabeledHeads(embeddings(characters, seed, spread), np.array(characters), drawn, made)
