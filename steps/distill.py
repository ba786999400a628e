"""distill: distills one encoder from two or three that were trained with different seeds."""

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
    catalogue, options = inputs["catalogue"], parameters.options()
    teachers = {name: inputs[name] for name in ("encoder", "other", "third") if name in inputs}
    same = {digest_path(folder): name for name, folder in teachers.items()}
    for name, folder in teachers.items():
        if (twin := same[digest_path(folder)]) != name:
            raise UserError(f"{name} and {twin} are the same encoder: train one with another seed")
    mlflow.log_dict({"distillation": asdict(options)}, "options.json")

    def on_epoch(epoch: int, metrics: EpochMetrics) -> None:
        report_epoch(epoch, options.epochs, metrics)

    print("first, each teacher embeds up to 4,096 training heads: about a minute on two cores")
    named = {getattr(parameters, name): folder for name, folder in teachers.items()}
    distilled = compute.distill(
        catalogue, digest_path(catalogue), named, options, workspace, on_epoch, parameters.processes_options()
    )
    report_kept_epoch(distilled.best_epoch)
    return {"encoder": distilled.folder}


if __name__ == "__main__":
    run_step("distill", Distill, distill)
