"""What each change to the recipe brings: python benchmarks/recipes/run.py DATASET WORK CHANGE [epochs] [seed]

Trains on DATASET without the sets of CHOOSE and REPORT, measures on both, adds a line to WORK/results.jsonl. What to keep is
chosen on CHOOSE; REPORT is only looked at in the end. CHANGE is a recipe's name, or one with fields set, such as
best,arcface=0,sides=0.6/0.8. With distill_epochs a recipe trains seed and seed + 1, and a third encoder learns what both
know: so take every other seed. pictures_per_second is that of the last training.
"""

import dataclasses
import hashlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.recipes.measures import Heads, all_measures
from crystal_eyes.data.catalogue import Catalogue, artworks, write
from crystal_eyes.data.cropping import head_bytes
from crystal_eyes.data.layouts import read_dataset
from crystal_eyes.data.selection import SelectionOptions, select
from crystal_eyes.encoder.distillation import distil
from crystal_eyes.encoder.loop import embed
from crystal_eyes.encoder.metric_learning import train
from crystal_eyes.encoder.network import Description, Encoder, load_encoder, save_encoder
from crystal_eyes.encoder.recipes import RECIPES, Recipe
from crystal_eyes.encoder.sketches import lines
from crystal_eyes.encoder.weights import load_weights
from crystal_eyes.images import fit, flatten, open_picture
from pipeline.cache.key import code_digest
from pipeline.parameters.steps import Distill, Train

CHOOSE, REPORT = ("umamusume", "hbr", "moeimouto"), ("holoen", "fgo")


def catalogue(dataset: Path, folder: Path) -> Catalogue:
    """The dataset's heads; whole sets are the encoder's validation and test part."""
    if not folder.exists():
        table, _ = read_dataset(dataset, 0.85)
        table, _ = select(table, SelectionOptions(min_pictures=1), seed=0)
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


class Told:
    """An on_epoch that prints, and keeps the pictures/s."""

    def __init__(self):
        self.rates: list[float] = []

    def __call__(self, epoch: int, metrics: dict[str, float]) -> None:
        self.rates.append(metrics["pictures_per_second"])
        print(epoch, {name: round(value, 3) for name, value in metrics.items()}, flush=True)


def once(folder: Path, work: Callable[[Told], Encoder]) -> tuple[Encoder, float, float]:
    """What work gives, its seconds and its pictures/s; from the folder where it was done before."""
    took = folder / "took.json"
    if not took.is_file():
        start, told = time.perf_counter(), Told()
        save_encoder(work(told), folder / "encoder")
        took.write_text(json.dumps([time.perf_counter() - start, statistics.harmonic_mean(told.rates)]))
    return load_encoder(folder / "encoder"), *json.loads(took.read_text())


def place(work: Path, module: str, *of) -> Path:
    """A folder for what comes of these values and of this code: it is gone on from only where all is the same."""
    return work / hashlib.sha256(repr((of, code_digest(f"crystal_eyes/{module}.py"))).encode()).hexdigest()[:16]


def main(dataset: str, work: str, change: str, epochs: str = "0", seed: str = "0") -> None:
    recipe, folder = changed(change), Path(work)
    one = dataclasses.replace(recipe, distill_epochs=0)
    config = Train(epochs=int(epochs) or recipe.epochs, seed=int(seed), image_size=recipe.image_size)
    source = catalogue(Path(dataset), folder / "catalogue")

    def trained(config: Train) -> tuple[Encoder, float, float]:
        home = place(folder, "metric_learning", one, config)

        def work(told: Told) -> Encoder:
            torch.manual_seed(config.seed)
            drop = recipe.drop_connect_rate
            encoder = Encoder(Description(recipe.backbone, recipe.embedding_size, recipe.image_size, drop_connect_rate=drop))
            load_weights(encoder, "pretrained" if recipe.backbone == "tf_efficientnet_lite0" else "none")
            train(encoder, source, config, recipe, home, told)
            return encoder

        return once(home, work)

    encoder, seconds, rate = trained(config)
    if recipe.distill_epochs:
        asked = Distill(distill_epochs=recipe.distill_epochs, seed=config.seed)
        home = place(folder, "distillation", recipe, config, asked)
        other, more, _ = trained(dataclasses.replace(config, seed=config.seed + 1))
        teachers = [encoder, other]
        encoder, last, rate = once(home, lambda told: distil(teachers, source, asked, recipe, home, told)[0])
        seconds += more + last
    found = {"change": change, "epochs": config.epochs, "seed": config.seed, "seconds": round(seconds),
             "pictures_per_second": round(rate, 1)}  # fmt: skip
    found |= {part: measured(encoder, source, part) for part in ("validation", "test")}
    with open(folder / "results.jsonl", "a") as stream:
        stream.write(json.dumps(found) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
