"""embed: embeds every head of a catalogue with the ONNX encoder; reports MAP@R on characters never used for training."""

import time
from collections.abc import Mapping
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd

from crystal_eyes.data.catalogue import artworks
from crystal_eyes.encoder.embeddings import read_part
from crystal_eyes.errors import UserError
from crystal_eyes.evaluation.retrieval import retrieval
from pipeline.metric_names import metric_name
from pipeline.parameters.base import RAY
from pipeline.parameters.steps import Embed
from pipeline.step import run_step
from steps.compute import embed as compute
from steps.compute.embed import EmbeddedCatalogue

SHOWN_SKIPPED = 10


def embed(parameters: Embed, inputs: Mapping[str, Path], workspace: Path) -> dict[str, Path]:
    path = inputs["onnx"]
    if path.is_dir():
        files = list(path.rglob("*.onnx"))
        if len(files) != 1:
            raise UserError(f"{parameters.onnx} contains {len(files)} ONNX files: give the path of one file")
        path = files[0]
    start = time.perf_counter()
    if parameters.engine == RAY:
        from crystal_eyes.fleet import embed as fleet
        from crystal_eyes.fleet.run import FleetRun

        with FleetRun(parameters.address, parameters.shards, workspace, "embeddings") as run:
            embedded = EmbeddedCatalogue(*fleet.embed(run, path, inputs["catalogue"], parameters.embed_batch))
    else:
        embedded = compute.embed(path, inputs["catalogue"], parameters.embed_batch, workspace)
    seconds = time.perf_counter() - start

    unseen = read_part(embedded.folder, "test")
    mlflow.log_metrics(
        {
            "pictures": unseen.of,
            "pictures_skipped": len(embedded.skipped),
            "pictures_per_second": unseen.of / seconds,
        }
    )
    mlflow.log_text(pd.DataFrame(embedded.skipped, columns=["file", "why"]).to_csv(index=False), "skipped.csv")
    for file, reason in embedded.skipped[:SHOWN_SKIPPED]:
        print(f"skipped {file}: {reason}")
    table = unseen.table.select(["file", "character", "set", "artwork"]).to_pandas()
    if len(table):
        report_retrieval("", unseen.embeddings, table)
        for name, rows in table.groupby("set").indices.items():
            if name and len(unseen.sets) > 1:
                report_retrieval(f"/{name}", unseen.embeddings[rows], table.iloc[rows])
    return {"embeddings": embedded.folder}


def report_retrieval(suffix: str, embeddings: np.ndarray, table: pd.DataFrame) -> None:
    """Log and print MAP@R and precision@1 on characters used neither for training nor for selecting the epoch."""
    found = retrieval(embeddings, table["character"].to_numpy(), artworks(table))
    if np.isfinite(found["map_at_r"]):
        mlflow.log_metrics({metric_name(f"{name}_unseen{suffix}"): value for name, value in found.items()})
        print(
            f"MAP@R {found['map_at_r']:.3f}, precision@1 {found['precision_at_1']:.3f} on {len(table)} pictures of "
            f"{table['character'].nunique()} unseen characters{suffix and ' of ' + suffix[1:]}"
        )


if __name__ == "__main__":
    run_step("embed", Embed, embed)
