"""Finished encoders side by side: python benchmarks/recipes/compare.py CATALOGUE PART ENCODER [ENCODER ...]

CATALOGUE: what `prepare` wrote. PART: validation or test, characters that no encoder here was trained on. ENCODER: a folder.
At most PER_CHARACTER colored heads of a character count, so that characters with hundreds of pictures do not decide. Measures
that draw heads at random are means over SEEDS draws, with their standard deviation.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.recipes.embedding import labeled, line_art
from benchmarks.recipes.measures import LabeledEmbeddings, few_shot, map_at_r, sketch_recall, strangers
from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder.network import load_encoder

PER_CHARACTER, SEEDS, LEAST = 15, 10, 10  # LEAST: heads of a set that is reported on its own


def embedded(encoder_folder: str, source: Catalogue, part: str) -> tuple[LabeledEmbeddings, LabeledEmbeddings]:
    """The heads of a part, and line art generated from them."""
    encoder = load_encoder(encoder_folder)
    table = source.table()
    table = table[(table["encoder_split"] == part) & ~table["monochrome"]].sample(frac=1, random_state=0)
    table = table[table.groupby("character").cumcount() < PER_CHARACTER].reset_index(drop=True)
    heads = labeled(encoder, source, table)
    return heads, replace(heads, embeddings=line_art(encoder, source, table))


def spread(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values):.3f}"


def main(catalogue: str, part: str, *encoders: str) -> None:
    source = Catalogue(Path(catalogue))
    for folder in encoders:
        heads, drawn = embedded(folder, source, part)
        print(f"\n{folder}: {len(heads.character)} heads of {len(np.unique(heads.character))} characters")
        print(f"MAP@R {map_at_r(heads):.3f}")
        print(f"generated line art finds another picture of the character, R@1: {sketch_recall(heads, drawn):.3f}")
        for shots in (5, 1):
            found = np.array([few_shot(heads, seed, shots) for seed in range(SEEDS)])
            print(f"{shots} heads a character: top-1 {spread(found[:, 0])}, top-5 {spread(found[:, 2])}")
        print(f"strangers, AUROC: {spread([strangers(heads, seed, 3) for seed in range(SEEDS)])}")
        sets = {name: heads[np.flatnonzero(heads.set == name)] for name in np.unique(heads.set)}
        large = {name: some for name, some in sets.items() if len(some.character) >= LEAST and len(set(some.character)) > 1}
        print("MAP@R by set:", ", ".join(f"{name} {map_at_r(some):.2f}" for name, some in large.items()))


if __name__ == "__main__":
    main(*sys.argv[1:])
