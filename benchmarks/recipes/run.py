"""What each change to the recipe brings: python benchmarks/recipes/run.py DATASET WORK CHANGE [epochs] [seed]

Trains on DATASET without the sets of CHOOSE and REPORT, measures on both, adds a line to WORK/results.jsonl. What to keep is
chosen on CHOOSE; REPORT is only looked at in the end. CHANGE is a recipe's name, or one with fields set, such as
best,arcface=0,sides=0.6/0.8
"""

import dataclasses
import hashlib
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.recipes.measures import Heads, all_measures
from crystal_eyes.catalogue import Catalogue, artworks, write
from crystal_eyes.config import Train
from crystal_eyes.datasets import read_dataset
from crystal_eyes.encoder import Description, Encoder, save_encoder
from crystal_eyes.pictures import fit, flatten, open_picture
from crystal_eyes.pretrained import load_weights
from crystal_eyes.recipes import RECIPES, Recipe
from crystal_eyes.selection import head_bytes, select
from crystal_eyes.sketches import lines
from crystal_eyes.training import embed, train

CHOOSE, REPORT = ("umamusume", "hbr", "moeimouto"), ("holoen", "fgo")


def catalogue(dataset: Path, folder: Path) -> Catalogue:
    """The dataset's heads; whole sets are the encoder's validation and test part."""
    if not folder.exists():
        table, _ = read_dataset(dataset, 0.85)
        table, _ = select(table, min_pictures=1, pictures_per_character=0, near_duplicate_bits=6, seed=0)
        split = {**dict.fromkeys(CHOOSE, "validation"), **dict.fromkeys(REPORT, "test")}
        table = table.assign(encoder_split=[split.get(name, "train") for name in table["set"]], classifier_split="")
        beside = folder.with_name("catalogue.half")
        write(beside, table, (head_bytes(path, box) for path, box in zip(table["path"], table["box"])))
        beside.rename(folder)
    return Catalogue(folder)


def changed(text: str) -> Recipe:
    name, *fields = text.split(",")
    kinds = {field.name: field.type for field in dataclasses.fields(Recipe)}
    values: dict[str, Any] = dict(field.split("=") for field in fields)
    for key, value in values.items():
        if kinds[key] is bool:
            values[key] = value == "True"
        elif kinds[key] in (int, float, str):
            values[key] = kinds[key](value)
        else:
            values[key] = tuple(map(float, value.split("/")))
    return dataclasses.replace(RECIPES[name], **values)


def measured(encoder: Encoder, source: Catalogue, part: str) -> dict[str, float]:
    size = encoder.description.image_size
    table = source.table()
    table = table[table["encoder_split"] == part].reset_index(drop=True)
    embeddings = embed(encoder, source, table, size, "cpu", 0)
    heads = Heads(embeddings, table["character"].to_numpy(str), artworks(table).astype(str), table["set"].to_numpy(str))
    colourless = table["monochrome"].to_numpy(bool)
    coloured = np.flatnonzero(~colourless)
    drawn_so, heads, table = heads[np.flatnonzero(colourless)], heads[coloured], table.iloc[coloured]
    sketches = []
    for start in range(0, len(table), 64):
        rows = table.iloc[start : start + 64]
        places = zip(rows["offset"], rows["length"], rows["digest"])
        drawn = np.stack([fit(lines(flatten(open_picture(source.read(*place)))), size) for place in places])
        with torch.inference_mode():
            sketches.append(encoder(torch.from_numpy(drawn)).numpy())
    made = Heads(np.concatenate(sketches), heads.character, heads.artwork, heads.set)
    return all_measures(heads, made, drawn_so)


def main(dataset: str, work: str, change: str, epochs: str = "0", seed: str = "0") -> None:
    recipe = changed(change)
    config = Train(epochs=int(epochs) or recipe.epochs, seed=int(seed), image_size=recipe.image_size)
    # a training is gone on from only where all of this is the same
    key = hashlib.sha256(repr((recipe, config)).encode()).hexdigest()[:12]
    workspace = Path(work) / f"{change}-{seed}-{key}"
    source = catalogue(Path(dataset), Path(work) / "catalogue")
    torch.manual_seed(config.seed)
    drop = recipe.drop_connect_rate
    encoder = Encoder(Description(recipe.backbone, recipe.embedding_size, recipe.image_size, drop_connect_rate=drop))
    load_weights(encoder, "pretrained" if recipe.backbone == "tf_efficientnet_lite0" else "none")
    start, rates = time.perf_counter(), []

    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
        rates.append(metrics["pictures_per_second"])
        print(epoch, {name: round(value, 3) for name, value in metrics.items()}, flush=True)

    train(encoder, source, config, recipe, workspace, on_epoch)
    seconds = time.perf_counter() - start
    save_encoder(encoder, workspace / "encoder")
    found = {"change": change, "epochs": config.epochs, "seed": config.seed, "seconds": round(seconds),
             "pictures_per_second": round(statistics.harmonic_mean(rates), 1)}  # fmt: skip
    found |= {part: measured(encoder, source, part) for part in ("validation", "test")}
    with open(Path(work) / "results.jsonl", "a") as stream:
        stream.write(json.dumps(found) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
