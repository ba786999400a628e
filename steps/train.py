"""train: the encoder, by metric learning."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mlflow
import torch

from crystal_eyes.catalogue import Catalogue
from crystal_eyes.config import Train
from crystal_eyes.encoder import Description, Encoder, save_encoder
from crystal_eyes.pretrained import load_weights
from crystal_eyes.recipes import RECIPES, filled
from crystal_eyes.training import train as train_encoder
from pipeline.digests import digest_path
from pipeline.step import run_step


def train(config: Train, inputs: Mapping[str, Path | None], workspace: Path) -> dict[str, Path]:
    config, recipe = filled(config), RECIPES[config.recipe]
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
    folder = workspace / "encoder"
    with wandb_run(config) as wandb:

        def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
            mlflow.log_metrics(metrics, step=epoch)
            if wandb:
                wandb.log(metrics, step=epoch)
            print(
                f"epoch {epoch}/{config.epochs}: loss {metrics['loss']:.3f}, MAP@R {metrics['map_at_r']:.3f} and "
                f"precision@1 {metrics['precision_at_1']:.3f} on unseen characters, "
                f"{metrics['pictures_per_second']:.0f} pictures/s",
                flush=True,
            )

        best = train_encoder(encoder, Catalogue(inputs["catalogue"]), config, recipe, workspace, on_epoch)
    save_encoder(encoder, folder)
    mlflow.log_metric("best_epoch", best)
    mlflow.log_metric("parameters", sum(p.numel() for p in encoder.parameters()))
    print(f"kept epoch {best}: the best by MAP@R on unseen characters, or the last where each of them has a single picture")
    return {"encoder": folder}


@contextmanager
def wandb_run(config: Train) -> Iterator[Any]:
    """A Weights & Biases run beside the MLflow one, each naming the other; None where it is off."""
    if config.wandb == "off":
        yield None
        return
    import wandb  # costs a second, and only those who use it pay

    own = mlflow.active_run().info.run_id
    with wandb.init(project="crystal-eyes", mode=config.wandb, config={**asdict(config), "mlflow_run_id": own}) as run:
        mlflow.set_tag("wandb_run_id", run.id)
        yield run


if __name__ == "__main__":
    run_step("train", Train, train)
