"""evaluate: evaluates a bundle on test heads of a catalogue that were not used for calibration."""

from collections.abc import Mapping
from pathlib import Path

import mlflow
import numpy as np

from crystal_eyes.evaluation.top_k import bootstrap_interval
from pipeline.parameters.steps import Evaluate
from pipeline.step import run_step
from steps.compute import evaluate as compute


def evaluate(parameters: Evaluate, inputs: Mapping[str, Path], workspace: Path) -> dict[str, Path]:
    done = compute.evaluate(inputs["bundle"], inputs["catalogue"], workspace)
    for k in (1, 3, 5):
        hit = np.any(done.hits[:, :k], axis=1)
        low, high = bootstrap_interval(hit, done.characters, seed=0)
        mlflow.log_metrics({f"top_{k}": float(hit.mean()), f"top_{k}_low": low, f"top_{k}_high": high})
        print(f"top-{k} {hit.mean():.3f} (95 % interval {low:.3f} to {high:.3f})")
    mlflow.log_metrics({"heads": len(done.hits), "heads_of_others": done.strangers})
    return {"answers": done.folder}


if __name__ == "__main__":
    run_step("evaluate", Evaluate, evaluate)
