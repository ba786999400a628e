"""distill: distills one encoder from two that were trained with different seeds."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import mlflow

from crystal_eyes.encoder.loop import EpochMetrics
from crystal_eyes.errors import UserError
from pipeline.cache.digests import digest_path
from pipeline.epochs import report_epoch, report_kept_epoch
from pipeline.parameters.steps import Distill
from pipeline.step import run_step
from steps.compute import distill as compute


def distill(parameters: Distill, inputs: Mapping[str, Path], workspace: Path) -> dict[str, Path]:
    if not parameters.distill_epochs:
        raise UserError(f"distill_epochs is 0 (recipe {parameters.recipe}), so there is nothing to do: give at least 1")
    catalogue, encoder, other, options = inputs["catalogue"], inputs["encoder"], inputs["other"], parameters.options()
    if digest_path(encoder) == digest_path(other):
        raise UserError(f"{parameters.encoder} and {parameters.other} are the same encoder: train one with another seed")
    mlflow.log_dict({"distillation": asdict(options)}, "options.json")

    def on_epoch(epoch: int, metrics: EpochMetrics) -> None:
        report_epoch(epoch, options.epochs, metrics)

    print("first, both teachers embed the training heads: about two minutes on two cores")
    teachers = {parameters.encoder: encoder, parameters.other: other}
    distilled = compute.distill(catalogue, digest_path(catalogue), teachers, options, workspace, on_epoch)
    report_kept_epoch(distilled.best_epoch)
    return {"encoder": distilled.folder}


if __name__ == "__main__":
    run_step("distill", Distill, distill)
