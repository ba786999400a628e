"""distill: one encoder that sees what two see together."""

from collections.abc import Mapping
from pathlib import Path

import mlflow

from crystal_eyes.catalogue import Catalogue
from crystal_eyes.config import Distill
from crystal_eyes.distillation import distil
from crystal_eyes.encoder import load_encoder, save_encoder
from crystal_eyes.errors import UserError
from crystal_eyes.recipes import RECIPES, filled
from pipeline.step import run_step


def distill(config: Distill, inputs: Mapping[str, Path | None], workspace: Path) -> dict[str, Path]:
    config = filled(config)
    if not config.distill_epochs:
        raise UserError("distill_epochs=0: there is nothing to do, give at least 1")
    teachers = [load_encoder(inputs["encoder"]), load_encoder(inputs["other"])]
    if teachers[0].description.image_size != teachers[1].description.image_size:
        raise UserError(f"{config.encoder} and {config.other} see pictures of other sizes: train both with one image_size")

    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
        mlflow.log_metrics(metrics, step=epoch)
        print(
            f"epoch {epoch}/{config.distill_epochs}: loss {metrics['loss']:.4f}, MAP@R {metrics['map_at_r']:.3f} and "
            f"precision@1 {metrics['precision_at_1']:.3f} on unseen characters, "
            f"{metrics['pictures_per_second']:.0f} pictures/s",
            flush=True,
        )

    views = RECIPES[config.recipe].views
    student, best = distil(teachers, Catalogue(inputs["catalogue"]), config, views, workspace, on_epoch)
    folder = workspace / "encoder"
    save_encoder(student, folder)
    mlflow.log_metric("best_epoch", best)
    print(f"kept epoch {best}: the best by MAP@R on unseen characters, or the last where each of them has a single picture")
    return {"encoder": folder}


if __name__ == "__main__":
    run_step("distill", Distill, distill)
