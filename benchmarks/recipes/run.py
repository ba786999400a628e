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
from crystal_eyes.config import Distill, Train
from crystal_eyes.datasets import read_dataset
from crystal_eyes.distillation import distil
from crystal_eyes.encoder import Description, Encoder, load_encoder, save_encoder
from crystal_eyes.metric_learning import train
from crystal_eyes.pictures import fit, flatten, open_picture
from crystal_eyes.pretrained import load_weights
from crystal_eyes.recipes import RECIPES, Recipe
from crystal_eyes.selection import head_bytes, select
from crystal_eyes.sketches import lines
from crystal_eyes.training import embed

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
    embeddings = embed(encoder, source, table, size, torch.device("cpu"))
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


def trained(recipe: Recipe, config: Train, source: Catalogue, work: Path, said: str) -> tuple[Encoder, float, list[float]]:
    """An encoder, the seconds that it took and its pictures/s by epoch; taken from work where it was trained before."""
    # a training is gone on from only where all of this is the same
    key = hashlib.sha256(repr((dataclasses.replace(recipe, distill_epochs=0), config)).encode()).hexdigest()[:12]
    workspace = work / f"{said}-{config.seed}-{key}"
    if (workspace / "took.json").is_file():
        took = json.loads((workspace / "took.json").read_text())
        return load_encoder(workspace / "encoder"), took["seconds"], took["rates"]
    torch.manual_seed(config.seed)
    drop = recipe.drop_connect_rate
    encoder = Encoder(Description(recipe.backbone, recipe.embedding_size, recipe.image_size, drop_connect_rate=drop))
    load_weights(encoder, "pretrained" if recipe.backbone == "tf_efficientnet_lite0" else "none")
    start, told = time.perf_counter(), Told()
    train(encoder, source, config, recipe, workspace, told)
    seconds = time.perf_counter() - start
    save_encoder(encoder, workspace / "encoder")
    (workspace / "took.json").write_text(json.dumps({"seconds": seconds, "rates": told.rates}))
    return encoder, seconds, told.rates


class Told:
    """An on_epoch that prints, and keeps the pictures/s."""

    def __init__(self):
        self.rates: list[float] = []

    def __call__(self, epoch: int, metrics: dict[str, float]) -> None:
        self.rates.append(metrics["pictures_per_second"])
        print(epoch, {name: round(value, 3) for name, value in metrics.items()}, flush=True)


def main(dataset: str, work: str, change: str, epochs: str = "0", seed: str = "0") -> None:
    recipe, folder = changed(change), Path(work)
    config = Train(epochs=int(epochs) or recipe.epochs, seed=int(seed), image_size=recipe.image_size)
    source = catalogue(Path(dataset), folder / "catalogue")
    encoder, seconds, rates = trained(recipe, config, source, folder, change)
    if recipe.distill_epochs:
        other, more, _ = trained(recipe, dataclasses.replace(config, seed=config.seed + 1), source, folder, change)
        start, told = time.perf_counter(), Told()
        asked = Distill(distill_epochs=recipe.distill_epochs, seed=config.seed)
        key = hashlib.sha256(repr((recipe, config, asked)).encode()).hexdigest()[:12]
        workspace = folder / f"{change}-{seed}-distilled-{key}"
        encoder, _ = distil([encoder, other], source, asked, recipe.views, workspace, told)
        save_encoder(encoder, workspace / "encoder")
        seconds, rates = seconds + more + time.perf_counter() - start, told.rates
    found = {"change": change, "epochs": config.epochs, "seed": config.seed, "seconds": round(seconds),
             "pictures_per_second": round(statistics.harmonic_mean(rates), 1)}  # fmt: skip
    found |= {part: measured(encoder, source, part) for part in ("validation", "test")}
    with open(folder / "results.jsonl", "a") as stream:
        stream.write(json.dumps(found) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
