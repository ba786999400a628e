"""Pictures found under two characters: python benchmarks/robustness/same_pictures.py DATASET [copies]

Prints how many heads of a dataset are taken for the same picture under another character (in a dataset without such pictures:
false positives), and which share of copies of random heads (default 600) is found if each is changed and labeled otherwise.
"""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crystal_eyes.data.cropping import head_bytes
from crystal_eyes.data.layouts import load_dataset
from crystal_eyes.data.same_pictures import same_elsewhere, thumbnail
from crystal_eyes.data.selection import inspect_head
from crystal_eyes.image_stats import hashes_of_sides
from crystal_eyes.images import flatten, open_picture

CHANGES: dict[str, Callable[[float], float]] = {
    "brightness x 0.6": lambda value: value * 0.6,
    "brightness x 0.8": lambda value: value * 0.8,
    "brightness x 1.25": lambda value: value * 1.25,
    "brightness + 30": lambda value: value + 30,
    "contrast x 0.7": lambda value: 128 + 0.7 * (value - 128),
    "gamma 0.8": lambda value: 255 * (value / 255) ** 0.8,
    "gamma 1.25": lambda value: 255 * (value / 255) ** 1.25,
}


def main(dataset: str, copies: int) -> None:
    table = load_dataset(dataset, 0.85).table
    with ThreadPoolExecutor() as pool:
        inspected = list(pool.map(inspect_head, table["path"], table["box"]))
    usable = np.flatnonzero([not one.problem for one in inspected])
    hashes = np.stack([inspected[row].hashes for row in usable])
    thumbnails = np.stack([inspected[row].thumbnail for row in usable])
    labels = pd.factorize(table["character"].iloc[usable])[0]
    found = same_elsewhere(hashes, thumbnails, labels)
    print(f"{(found >= 0).sum()} of {len(found)} heads of {labels.max() + 1} characters are found under another one")
    chosen = np.random.default_rng(0).permutation(usable)[:copies]
    pictures = [flatten(open_picture(head_bytes(table["path"].iloc[row], table["box"].iloc[row]))) for row in chosen]
    for name, change in CHANGES.items():
        levels = [round(min(max(change(value), 0), 255)) for value in range(256)]
        changed: list[Image.Image] = [picture.point(levels * 3) for picture in pictures]
        found = same_elsewhere(
            np.concatenate([hashes, [hashes_of_sides(one) for one in changed]]),
            np.concatenate([thumbnails, [thumbnail(one) for one in changed]]),
            np.concatenate([labels, np.full(len(changed), labels.max() + 1)]),
        )
        print(f"{name}: {(found[len(hashes) :] >= 0).mean():.3f} of {len(changed)} copies")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 600)
