"""prepare: reads a dataset into the catalogue, with splits."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from crystal_eyes.data import cast
from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.data.left_out import summary_lines
from crystal_eyes.data.options import CastOptions, SelectionOptions, SplitOptions
from crystal_eyes.data.selection import SAME_PICTURE
from crystal_eyes.images import flatten, open_picture
from crystal_eyes.paths import cache_home
from pipeline.cache.key import code_digest
from pipeline.cache.workspace import only_one
from pipeline.contact_sheets import contact_sheet
from pipeline.parameters.base import RAY
from pipeline.parameters.steps import Prepare
from pipeline.step import run_step
from steps.compute import prepare as compute

MAX_SHOWN = 8 * 12  # pictures on the contact sheet


def prepare(parameters: Prepare, inputs: Mapping[str, Path], workspace: Path) -> dict[str, Path]:
    selection = SelectionOptions(parameters.min_pictures, parameters.pictures_per_character, parameters.near_duplicate_bits)
    splits = SplitOptions(
        parameters.train_per_character, parameters.test_per_character,
        parameters.validation_characters, parameters.test_characters,
    )  # fmt: skip
    dataset = inputs.get("dataset") or draw_cast(parameters)
    folder = workspace / "catalogue"
    if parameters.engine == RAY:
        from crystal_eyes.fleet.prepare import inspections, write_catalogue
        from crystal_eyes.fleet.run import FleetRun

        with FleetRun(parameters.address, parameters.shards, workspace, folder.name) as run:
            inspect = partial(inspections, run)
            selected = compute.select_heads(dataset, parameters.confidence, selection, parameters.seed, inspect)
            report_left_out(selected)
            write_catalogue(run, compute.split(selected, splits, parameters.seed))
    else:
        selected = compute.select_heads(dataset, parameters.confidence, selection, parameters.seed)
        report_left_out(selected)  # before anything can fail for lack of pictures
        compute.write_catalogue(folder, compute.split(selected, splits, parameters.seed))
    report(Catalogue(folder), len(selected.left_out), parameters.seed)
    return {"catalogue": folder}


def draw_cast(parameters: Prepare) -> Path:
    """The built-in cast, drawn once for each of its sizes, seeds and versions of the drawing code."""
    options, seed = CastOptions(parameters.characters, parameters.pictures), parameters.seed
    code = code_digest("crystal_eyes/data/cast/__init__.py")[:12]
    name = f"{options.characters}x{options.pictures}-seed{seed}-{code}"
    folder = cache_home() / "cast" / name
    with only_one(f"cast-{name}", "another run is drawing the same cast: waiting for it"):
        compute.draw_cast(folder, options, seed)
    print(cast.credits_text())
    mlflow.log_text(cast.credits_text(), "credits.txt")
    return folder


def report_left_out(selected: compute.Selected) -> None:
    mlflow.log_metrics({"pictures_found": selected.found, "pictures_dropped": len(selected.left_out)})
    mlflow.log_text(pd.DataFrame(selected.left_out, columns=["file", "why"]).to_csv(index=False), "dropped.csv")
    for line in [*selected.notes, *summary_lines(selected.left_out)]:
        print(line)
    if several := sum(why.startswith(SAME_PICTURE) for _, why in selected.left_out):
        print(f"warning: {several} pictures are left out because they stand under several characters (dropped.csv lists them)")


def report(catalogue: Catalogue, left_out: int, seed: int) -> None:
    """Counts, a histogram and a contact sheet."""
    table = catalogue.table()
    counts = table.groupby("character")["file"].size()
    mlflow.log_metrics({"pictures": len(table), "characters": len(counts), "monochrome": int(table["monochrome"].sum())})
    for column in ("encoder_split", "classifier_split"):
        mlflow.log_metrics({f"{column}_{split or 'none'}": n for split, n in table[column].value_counts().items()})
    mlflow.log_text(counts.rename("pictures").to_csv(), "characters.csv")
    mlflow.log_figure(histogram(counts), "pictures_per_character.png")
    mlflow.log_image(sample(catalogue, table, seed), "contact_sheet.png")
    print(f"catalogue: {len(table)} pictures of {len(counts)} characters; {left_out} left out (dropped.csv lists the reasons)")


def histogram(counts: pd.Series) -> Figure:
    """How many characters have how many pictures."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    least, most = int(counts.min()), int(counts.max())
    axes.hist(counts, bins=[number - 0.5 for number in range(least, most + 2)] if most < 80 else 40, log=True)
    axes.set(xlabel="pictures of a character", ylabel="characters", title=f"{len(counts)} characters, {counts.sum()} pictures")
    return figure


def sample(catalogue: Catalogue, table: pd.DataFrame, seed: int) -> Image.Image:
    """A contact sheet of random pictures with their characters."""
    rows = np.sort(np.random.default_rng(seed).permutation(len(table))[:MAX_SHOWN])
    cells = []
    for row in table.iloc[rows].to_dict("records"):
        picture = flatten(open_picture(catalogue.read(row["offset"], row["length"], row["digest"])))
        cells.append((picture, [row["character"], row["series"] or row["set"]], ""))
    return contact_sheet(cells, columns=12)


if __name__ == "__main__":
    run_step("prepare", Prepare, prepare)
