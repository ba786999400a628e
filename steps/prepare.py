"""prepare: a dataset into the catalogue, with splits."""

from collections.abc import Mapping
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from crystal_eyes.data import cast
from crystal_eyes.data.catalogue import Catalogue, write
from crystal_eyes.data.contact_sheets import sheet
from crystal_eyes.data.layouts import read_dataset
from crystal_eyes.data.left_out import lines
from crystal_eyes.data.selection import head_bytes, select
from crystal_eyes.data.splits import assign_splits
from crystal_eyes.errors import UserError
from crystal_eyes.images import flatten, open_picture
from crystal_eyes.progress import track
from pipeline.cache.key import code_digest
from pipeline.cache.workspace import cache_home, only_one
from pipeline.parameters.steps import Prepare
from pipeline.step import run_step

SHOWN = 8 * 12  # pictures on the contact sheet


def prepare(config: Prepare, inputs: Mapping[str, Path | None], workspace: Path) -> dict[str, Path]:
    dataset = inputs["dataset"] or draw_cast(config)
    table, dropped = read_dataset(dataset, config.confidence)
    found = len(table)
    table, unused = select(
        table,
        min_pictures=config.min_pictures,
        pictures_per_character=config.pictures_per_character,
        near_duplicate_bits=config.near_duplicate_bits,
        seed=config.seed,
    )
    for line in lines(dropped + unused):
        print(line)
    dropped = pd.DataFrame(dropped + unused, columns=["file", "why"])
    if table.empty:
        raise UserError(f"dataset {dataset} has no character with {config.min_pictures} usable pictures: lower min_pictures")
    table = assign_splits(
        table,
        train_per_character=config.train_per_character,
        test_per_character=config.test_per_character,
        validation_characters=config.validation_characters,
        test_characters=config.test_characters,
        seed=config.seed,
    )
    folder = workspace / "catalogue"
    heads = (head_bytes(path, box) for path, box in zip(table["path"], table["box"]))
    write(folder, table, track(heads, len(table), "write catalogue", "pictures"))

    counts = table.groupby("character")["file"].size()
    mlflow.log_metrics({"pictures_found": found, "pictures": len(table), "pictures_dropped": len(dropped),
                        "characters": len(counts), "monochrome": int(table["monochrome"].sum())})  # fmt: skip
    for part in ("encoder_split", "classifier_split"):
        mlflow.log_metrics({f"{part}_{k or 'none'}": n for k, n in table[part].value_counts().items()})
    mlflow.log_text(dropped.to_csv(index=False), "dropped.csv")
    mlflow.log_text(counts.rename("pictures").to_csv(), "characters.csv")
    mlflow.log_figure(histogram(counts), "pictures_per_character.png")
    mlflow.log_image(contact_sheet(Catalogue(folder), config.seed), "contact_sheet.png")
    print(f"catalogue: {len(table)} pictures of {len(counts)} characters; {len(dropped)} left out (dropped.csv says why)")
    return {"catalogue": folder}


def draw_cast(config: Prepare) -> Path:
    """The built-in cast, drawn once for each number of characters and pictures, seed, and version of the drawing code."""
    name = f"{config.characters}x{config.pictures}-seed{config.seed}-{code_digest('crystal_eyes/data/cast/__init__.py')[:12]}"
    folder = cache_home() / "cast" / name
    with only_one(f"cast-{name}", "another run draws the same cast: waiting for it"):
        cast.draw(folder, characters=config.characters, pictures=config.pictures, seed=config.seed)
    print(cast.credits_text())
    mlflow.log_text(cast.credits_text(), "credits.txt")
    return folder


def histogram(counts: pd.Series) -> Figure:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.hist(counts, bins=np.arange(counts.min(), counts.max() + 2) - 0.5 if counts.max() < 80 else 40, log=True)
    axes.set(xlabel="pictures of a character", ylabel="characters", title=f"{len(counts)} characters, {counts.sum()} pictures")
    return figure


def contact_sheet(catalogue: Catalogue, seed: int):
    table = catalogue.table()
    rows = np.sort(np.random.default_rng(seed).permutation(len(table))[:SHOWN])
    cells = []
    for row in table.iloc[rows].itertuples():
        picture = flatten(open_picture(catalogue.read(row.offset, row.length, row.digest)))
        cells.append((picture, [row.character, row.series or row.set], ""))
    return sheet(cells, columns=12)


if __name__ == "__main__":
    run_step("prepare", Prepare, prepare)
