"""What each change to a recipe contributes: python benchmarks/recipes/run.py DATASET WORK CHANGE [epochs] [seed]

Trains on DATASET without the sets in CHOOSE and REPORT, measures on both, and appends a line to WORK/results.jsonl. Choices are
made on CHOOSE; REPORT is only reported. CHANGE is a recipe's name, or one with changed fields, such as
best,arcface_weight=0,side_shares=0.6/0.8. A recipe with distill_epochs trains seed and seed + 1 and distills a third encoder
from both, so use only every second seed. pictures_per_second is that of the last training.
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

from benchmarks.recipes.embedding import labeled, line_art
from benchmarks.recipes.measures import all_measures
from crystal_eyes.data.catalogue import Catalogue, write
from crystal_eyes.data.cropping import head_bytes
from crystal_eyes.data.layouts import read_dataset
from crystal_eyes.data.options import SelectionOptions
from crystal_eyes.data.selection import select
from crystal_eyes.encoder.distillation import distill_encoder
from crystal_eyes.encoder.metric_learning import train_encoder
from crystal_eyes.encoder.network import Encoder, EncoderDescription, load_encoder, save_encoder
from crystal_eyes.encoder.weights import load_weights
from pipeline.cache.key import code_digest
from pipeline.parameters.recipes import RECIPES, Recipe

BATCH, WEIGHT_DECAY = 32, 1e-2  # the defaults of distill
CHOOSE, REPORT = ("umamusume", "hbr", "moeimouto"), ("holoen", "fgo")


def catalogue(dataset: Path, folder: Path) -> Catalogue:
    """The dataset's heads; whole sets are the encoder's validation and test part."""
    if not folder.exists():
        table, _ = read_dataset(dataset, 0.85)
        table, _ = select(table, SelectionOptions(min_pictures=1), seed=0)
        split = {**dict.fromkeys(CHOOSE, "validation"), **dict.fromkeys(REPORT, "test")}
        table = table.assign(encoder_split=[split.get(name, "train") for name in table["set"]], classifier_split="")
        partial = folder.with_name("catalogue.partial")
        write(partial, table, (head_bytes(path, box) for path, box in zip(table["path"], table["box"])))
        partial.rename(folder)
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
    table = source.table()
    table = table[table["encoder_split"] == part].reset_index(drop=True)
    heads = labeled(encoder, source, table)
    colorless = table["monochrome"].to_numpy(bool)
    colored = np.flatnonzero(~colorless)
    sketches_by_artists, heads = heads[np.flatnonzero(colorless)], heads[colored]
    made = dataclasses.replace(heads, embeddings=line_art(encoder, source, table.iloc[colored]))
    return all_measures(heads, made, sketches_by_artists)


class EpochPrinter:
    """An on_epoch callback that prints the metrics and records the pictures/s."""

    def __init__(self) -> None:
        self.rates: list[float] = []

    def __call__(self, epoch: int, metrics: dict[str, float]) -> None:
        self.rates.append(metrics["pictures_per_second"])
        print(epoch, {name: round(value, 3) for name, value in metrics.items()}, flush=True)


def once(folder: Path, work: Callable[[EpochPrinter], Encoder]) -> tuple[Encoder, float, float]:
    """The encoder that work returns, its seconds and its pictures/s; read from the folder if the work was done before."""
    finished = folder / "finished.json"
    if not finished.is_file():
        start, printer = time.perf_counter(), EpochPrinter()
        save_encoder(work(printer), folder / "encoder")
        finished.write_text(json.dumps([time.perf_counter() - start, statistics.harmonic_mean(printer.rates)]))
    return load_encoder(folder / "encoder"), *json.loads(finished.read_text())


def work_folder(work: Path, module: str, *values: object) -> Path:
    """A folder for the results of these values and of this code, so that other values or other code never resume them."""
    code = code_digest(f"crystal_eyes/encoder/{module}.py")
    return work / hashlib.sha256(repr((values, code)).encode()).hexdigest()[:16]


def main(dataset: str, work: str, change: str, epochs: str = "0", seed: str = "0") -> None:
    recipe, folder = changed(change), Path(work)
    source = catalogue(Path(dataset), folder / "catalogue")
    description = EncoderDescription(
        recipe.backbone, recipe.embedding_size, recipe.image_size, drop_connect_rate=recipe.drop_connect_rate
    )
    epoch_count = int(epochs) or recipe.epochs

    def trained(seed: int) -> tuple[Encoder, float, float]:
        options = recipe.training_options(epochs=epoch_count, seed=seed)
        home = work_folder(folder, "metric_learning", description, options)

        def train(printer: EpochPrinter) -> Encoder:
            torch.manual_seed(seed)
            encoder = Encoder(description)
            load_weights(encoder, "pretrained" if recipe.backbone == "tf_efficientnet_lite0" else "none")
            train_encoder(encoder, source, options, home, printer)
            return encoder

        return once(home, train)

    encoder, seconds, rate = trained(int(seed))
    if recipe.distill_epochs:
        options = recipe.distillation_options(
            epochs=recipe.distill_epochs, batch_size=BATCH, weight_decay=WEIGHT_DECAY, seed=int(seed)
        )
        home = work_folder(folder, "distillation", description, recipe, epoch_count, options)
        other, more, _ = trained(int(seed) + 1)
        teachers = [encoder, other]
        encoder, last, rate = once(home, lambda printer: distill_encoder(teachers, source, options, home, printer)[0])
        seconds += more + last
    found = {"change": change, "epochs": epoch_count, "seed": int(seed), "seconds": round(seconds),
             "pictures_per_second": round(rate, 1)}  # fmt: skip
    found |= {part: measured(encoder, source, part) for part in ("validation", "test")}
    with open(folder / "results.jsonl", "a") as stream:
        stream.write(json.dumps(found) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
