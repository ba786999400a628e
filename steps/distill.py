"""distill: one encoder that sees what two see together."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import mlflow

from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder.distillation import distil
from crystal_eyes.encoder.network import load_encoder, save_encoder
from crystal_eyes.encoder.recipes import RECIPES, filled
from crystal_eyes.errors import UserError
from pipeline.cache.digests import digest_path
from pipeline.parameters.steps import Distill
from pipeline.step import run_step


def distill(config: Distill, inputs: Mapping[str, Path | None], workspace: Path) -> dict[str, Path]:
    if not config.distill_epochs:
        raise UserError(f"distill_epochs is 0 (recipe {config.recipe}), so there is nothing to do: give at least 1")
    teachers = [load_encoder(inputs["encoder"]), load_encoder(inputs["other"])]
    digest = digest_path(inputs["catalogue"])
    if digest_path(inputs["encoder"]) == digest_path(inputs["other"]):
        raise UserError(f"{config.encoder} and {config.other} are one encoder: train another one with another seed")
    for name, teacher in (("encoder", teachers[0]), ("other", teachers[1])):
        if teacher.description.training_catalogue != digest:  # else this one might learn what that one is judged by
            raise UserError(f"{name} {getattr(config, name)} was not trained on catalogue {config.catalogue}: give its own")
    if teachers[0].description.image_size != teachers[1].description.image_size:
        raise UserError(f"{config.encoder} and {config.other} see pictures of other sizes: train both with one image_size")
    mlflow.log_dict({"recipe": asdict(RECIPES[config.recipe]), "distill": asdict(config)}, "recipe.json")

    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
        mlflow.log_metrics(metrics, step=epoch)
        print(
            f"epoch {epoch}/{config.distill_epochs}: loss {metrics['loss']:.4f}, MAP@R {metrics['map_at_r']:.3f} and "
            f"precision@1 {metrics['precision_at_1']:.3f} on unseen characters, "
            f"{metrics['pictures_per_second']:.0f} pictures/s",
            flush=True,
        )

    print("looks at the heads to learn from with both encoders: two minutes or so on two cores")
    student, best = distil(teachers, Catalogue(inputs["catalogue"]), config, RECIPES[config.recipe], workspace, on_epoch)
    folder = workspace / "encoder"
    save_encoder(student, folder)
    mlflow.log_metric("best_epoch", best)
    print(f"kept epoch {best}: the best by MAP@R on unseen characters, or the last where each of them has a single picture")
    return {"encoder": folder}


if __name__ == "__main__":
    run_step("distill", Distill, distill, filled)
