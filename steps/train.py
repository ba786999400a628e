"""train: trains an encoder by metric learning."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
import numpy as np
from PIL import Image

from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder.dataset import DecodedHeads, HeadViews
from crystal_eyes.encoder.loop import EpochMetrics
from crystal_eyes.encoder.network import EncoderDescription
from crystal_eyes.encoder.weights import WeightsUnavailable
from crystal_eyes.errors import UserError
from pipeline.cache.digests import digest_path
from pipeline.contact_sheets import contact_sheet
from pipeline.epochs import report_epoch, report_kept_epoch
from pipeline.parameters.steps import Train
from pipeline.step import run_step
from steps.compute import train as compute

if TYPE_CHECKING:
    from wandb.sdk.wandb_run import Run as WandbRun

SHOWN_VIEWS = 24


def train(parameters: Train, inputs: Mapping[str, Path], workspace: Path) -> dict[str, Path]:
    catalogue, options = inputs["catalogue"], parameters.options()
    assert parameters.backbone and parameters.embedding_size and parameters.image_size
    assert parameters.drop_connect_rate is not None
    description = EncoderDescription(
        parameters.backbone,
        parameters.embedding_size,
        parameters.image_size,
        parameters.drop_rate,
        parameters.drop_connect_rate,
        training_catalogue=digest_path(catalogue),
    )
    mlflow.log_dict({"encoder": asdict(description), "training": asdict(options)}, "options.json")
    views = views_sheet(Catalogue(catalogue), parameters.image_size, options.views, options.seed)
    mlflow.log_image(views, "views.png")
    with wandb_run(parameters) as wandb:
        if wandb:
            wandb.log({"views": wandb_image(views)}, step=0)
        history: list[EpochMetrics] = []

        def on_epoch(epoch: int, metrics: EpochMetrics) -> None:
            history.append(metrics)
            report_epoch(epoch, options.epochs, metrics)
            if wandb:
                wandb.log(metrics, step=epoch, commit=True)

        try:
            weights = str(inputs.get("weights", parameters.weights))
            trained = compute.train(
                catalogue, description, weights, options, workspace, on_epoch, parameters.processes_options()
            )
        except WeightsUnavailable as error:
            raise UserError(f"{error}: give a local file with -P weights=FILE, or -P weights=none") from None
        if wandb:  # the metrics of the epoch that is kept: what a W&B sweep compares
            wandb.summary.update(dict(history[trained.best_epoch - 1]))
    mlflow.log_metric("parameters", trained.parameters)
    report_kept_epoch(trained.best_epoch)
    return {"encoder": trained.folder}


def views_sheet(catalogue: Catalogue, size: int, views: str, seed: int) -> Image.Image:
    """A contact sheet of augmented heads, as training shows them to the encoder."""
    table = catalogue.table()
    heads = table[table["encoder_split"] == "train"].reset_index(drop=True)
    rows = np.random.default_rng(seed).permutation(len(heads))[:SHOWN_VIEWS]
    shown = HeadViews(DecodedHeads(catalogue, heads), rows, size, (seed, 0), views)
    names = heads["character"].to_numpy(str)
    return contact_sheet([(Image.fromarray(shown[place][0]), [names[row]], "") for place, row in enumerate(rows)], 8)


def wandb_image(picture: Image.Image) -> object:
    import wandb

    return wandb.Image(picture)


@contextmanager
def wandb_run(parameters: Train) -> Iterator["WandbRun | None"]:
    """A Weights & Biases run in addition to the MLflow run, each with the ID of the other; None if W&B is off."""
    if parameters.wandb == "off":
        yield None
        return
    import wandb  # takes a second to import

    own = mlflow.active_run()
    assert own
    mode = os.environ.get("WANDB_MODE") or parameters.wandb  # as W&B's users expect
    settings = {**asdict(parameters), "mlflow_run_id": own.info.run_id}
    with wandb.init(project="crystal-eyes", mode=mode, config=settings) as run:  # type: ignore[arg-type]
        mlflow.set_tag("wandb_run_id", run.id)
        yield run


if __name__ == "__main__":
    run_step("train", Train, train)
