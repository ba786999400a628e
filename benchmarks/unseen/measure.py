"""Encoders on the heads that fetch.py cut: python benchmarks/unseen/measure.py FOLDER ENCODER [ENCODER ...]

ENCODER: a folder, or "histogram" for the baseline that knows colors only. For each set and for all together: MAP@R, every head
against the others that are not of its artwork; nearest mean of 5 heads and of 1 head a character; AUROC of strangers, half of
the characters left out. Then the same where a head has to find its character in another outfit or kind of picture (outfit in
heads.csv), because drawings of one outfit often share their palette. What draws heads or characters at random is a mean over
SEEDS draws, with their standard deviation; it is left out where fewer than LEAST characters have enough heads.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.recipes.compare import SEEDS, spread
from benchmarks.recipes.embedding import labeled
from benchmarks.recipes.measures import LabeledEmbeddings, few_shot, map_at_r, strangers
from benchmarks.recipes.run import catalogue
from benchmarks.unseen.fetch import rows
from crystal_eyes.data.catalogue import Catalogue, artworks
from crystal_eyes.encoder.dataset import DecodedHeads
from crystal_eyes.encoder.network import load_encoder
from crystal_eyes.images import flatten

HISTOGRAM, BINS = "histogram", 8  # BINS: for each of red, green and blue
LEAST = 20  # characters of a set: with fewer, a measure that draws at random says nothing


def color_histogram(picture: np.ndarray) -> np.ndarray:
    """float32 [BINS ** 3], unit length: the square root of each color's share of a uint8 RGB [h, w, 3] picture.

    The product of two of them is their Bhattacharyya coefficient.
    """
    bins = (picture.reshape(-1, 3) // (256 // BINS)).astype(int) @ [BINS * BINS, BINS, 1]
    counts = np.bincount(bins, minlength=BINS**3)
    return np.sqrt(counts / counts.sum()).astype(np.float32)


def embedded(name: str, source: Catalogue, table: pd.DataFrame) -> LabeledEmbeddings:
    if name != HISTOGRAM:
        return labeled(load_encoder(name), source, table)
    heads = DecodedHeads(source, table)
    colors = np.stack([color_histogram(np.asarray(flatten(heads[row]))) for row in range(len(table))])
    columns = [table["character"].to_numpy(str), artworks(table).astype(str), table["set"].to_numpy(str)]
    return LabeledEmbeddings(colors, *columns)


def report(name: str, heads: LabeledEmbeddings) -> str:
    """One line of a table: counts and measures of a set."""
    characters = len(np.unique(heads.character))
    line = f"{name:20} {characters:4} characters {len(heads.character):5} heads  MAP@R {map_at_r(heads):.3f}"
    counts = np.unique(heads.character, return_counts=True)[1]
    for shots in (5, 1):
        if (counts > shots).sum() < LEAST:
            continue
        found = np.array([few_shot(heads, seed, shots) for seed in range(SEEDS)])
        line += f"  from {shots}: top-1 {spread(found[:, 0])} top-5 {spread(found[:, 2])}"
    if (counts > 3).sum() >= LEAST:
        line += f"  strangers {spread([strangers(heads, seed, 3) for seed in range(SEEDS)])}"
    return line


def main(folder: str, *encoders: str) -> None:
    with tempfile.TemporaryDirectory() as work:
        source = catalogue(Path(folder) / "manifest.csv", Path(work) / "catalogue")
        table = source.table()
        known = {head["file"]: head["outfit"] for head in rows("heads.csv")}
        if unknown := set(table["file"]) - set(known):
            raise SystemExit(f"{folder} has {min(unknown)}, which heads.csv does not list: fetch into an empty folder")
        outfits = table["file"].map(known).to_numpy(str)
        for name in encoders:
            heads = embedded(name, source, table)
            print(f"\n{name}")
            for part in np.unique(heads.set):
                some = heads[np.flatnonzero(heads.set == part)]
                if len(np.unique(some.character)) > 1:
                    print(report(part, some), flush=True)
            print(report("all", heads), flush=True)
            print(report("other outfit", replace(heads, artwork=outfits)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
