"""train: the encoder, by metric learning."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import torch
from PIL import Image

from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder.dataset import Heads, Pictures
from crystal_eyes.encoder.metric_learning import train as train_encoder
from crystal_eyes.encoder.network import Description, Encoder, save_encoder
from crystal_eyes.encoder.recipes import RECIPES, Recipe, filled
from crystal_eyes.encoder.weights import load_weights
from pipeline.cache.digests import digest_path
from pipeline.contact_sheets import contact_sheet
from pipeline.parameters.steps import Train
from pipeline.step import run_step

VIEWS = 24  # augmented heads shown


def train(config: Train, inputs: Mapping[str, Path | None], workspace: Path) -> dict[str, Path]:
    recipe = RECIPES[config.recipe]
    mlflow.log_dict({"recipe": asdict(recipe), "train": asdict(config)}, "recipe.json")
    torch.manual_seed(config.seed)
    encoder = Encoder(
        Description(
            config.backbone,
            config.embedding_size,
            config.image_size,
            config.drop_rate,
            config.drop_connect_rate,
            training_catalogue=digest_path(inputs["catalogue"]),
        )
    )
    load_weights(encoder, str(inputs["weights"] or config.weights))
    folder, catalogue = workspace / "encoder", Catalogue(inputs["catalogue"])
    seen = views(catalogue, config, recipe)
    mlflow.log_image(seen, "views.png")
    with wandb_run(config) as wandb:
        if wandb:
            wandb.log({"views": wandb_image(seen)}, step=0)

        history: list[dict[str, float]] = []

        def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
            history.append(metrics)
            mlflow.log_metrics(metrics, step=epoch)
            if wandb:
                wandb.log(metrics, step=epoch, commit=True)
            print(
                f"epoch {epoch}/{config.epochs}: loss {metrics['loss']:.3f}, MAP@R {metrics['map_at_r']:.3f} and "
                f"precision@1 {metrics['precision_at_1']:.3f} on unseen characters, "
                f"{metrics['pictures_per_second']:.0f} pictures/s",
                flush=True,
            )

        best = train_encoder(encoder, catalogue, config, recipe, workspace, on_epoch)
        if wandb:  # of the best epoch, as its encoder is: what a sweep of W&B compares
            wandb.summary.update(dict(history[best - 1]))
    save_encoder(encoder, folder)
    mlflow.log_metric("best_epoch", best)
    mlflow.log_metric("parameters", sum(p.numel() for p in encoder.parameters()))
    print(f"kept epoch {best}: the best by MAP@R on unseen characters, or the last where each of them has a single picture")
    return {"encoder": folder}


def views(catalogue: Catalogue, config: Train, recipe: Recipe) -> Image.Image:
    """Heads as the training shows them to the encoder, as many as VIEWS."""
    table = catalogue.table()
    learn = table[table["encoder_split"] == "train"].reset_index(drop=True)
    rows = np.random.default_rng(config.seed).permutation(len(learn))[:VIEWS]
    heads = Heads(Pictures(catalogue, learn), rows, config.image_size, (config.seed, 0), recipe.views)
    pictures = [heads[place][0] for place in range(len(rows))]
    names = learn["character"].to_numpy(str)[rows]
    return contact_sheet([(Image.fromarray(picture), [name], "") for picture, name in zip(pictures, names)], 8)


def wandb_image(picture: Image.Image) -> Any:
    import wandb

    return wandb.Image(picture)


@contextmanager
def wandb_run(config: Train) -> Iterator[Any]:
    """A Weights & Biases run beside the MLflow one, each naming the other; None where it is off."""
    if config.wandb == "off":
        yield None
        return
    import wandb  # costs a second, and only those who use it pay

    own = mlflow.active_run().info.run_id
    mode = os.environ.get("WANDB_MODE") or config.wandb  # as W&B's users expect
    with wandb.init(project="crystal-eyes", mode=mode, config={**asdict(config), "mlflow_run_id": own}) as run:
        mlflow.set_tag("wandb_run_id", run.id)
        yield run


if __name__ == "__main__":
    run_step("train", Train, train, filled)
