"""bundle: combines detector, encoder and classifier into a calibrated bundle and evaluates it on held-out heads."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import mlflow
import numpy as np

from crystal_eyes.recognizer.build.build import BuiltBundle
from crystal_eyes.recognizer.build.by_set import MEASURES
from crystal_eyes.recognizer.build.options import BundleOptions
from crystal_eyes.recognizer.bundle import CARD
from crystal_eyes.recognizer.enrolled_unlikeness import COUNTS
from pipeline.cache.digests import digest_path
from pipeline.parameters.steps import Bundle
from pipeline.step import run_step
from steps.compute import bundle as compute

# figures printed at the end, a line each
SUMMARY = {
    "held-out heads": ("colour_top_1", "colour_top_5", "line_top_1", "line_top_5", "colour_ece_before",
                                  "colour_ece_after", "line_ece_before", "line_ece_after"),
    "degraded heads": ("degraded_top_1", "degraded_top_5"),
    "known heads called unknown": ("colour_called_unknown_at_5", "line_called_unknown_at_5"),
    "unknown characters": ("colour_auroc", "colour_fpr_95", "colour_oscr", "line_auroc"),
    "enrolled characters": ("enrol_enrolled_top_5", "enrol_known_top_5_before", "enrol_known_top_5_after"),
    "enrolled from 1, 3, 5 heads": tuple(f"enrol_{count}_{name}" for name in ("top_1", "top_5", "called_unknown_at_5")
                                         for count in COUNTS),
}  # fmt: skip


def bundle(parameters: Bundle, inputs: Mapping[str, Path], workspace: Path) -> dict[str, Path]:
    options = BundleOptions(**{field.name: getattr(parameters, field.name) for field in fields(BundleOptions)})
    built = compute.bundle(compute.BundleFolders(**inputs), digest_path(inputs["catalogue"]), options, workspace)
    report(built)
    return {"bundle": built.folder}


def report(built: BuiltBundle) -> None:
    """Log the figures and the model card, print the most important figures."""
    mlflow.log_metrics({name: value for name, value in built.figures.items() if np.isfinite(value)})
    auroc = {f"auroc_choose/{name.replace('+', '_and_')}": value for name, value in built.auroc_by_score.items()}
    auroc |= {f"auroc_enrolled/{name}": value for name, value in built.auroc_by_distance.items()}
    mlflow.log_metrics(auroc)
    mlflow.log_text(built.by_set.to_csv(index=False), "per_set.csv")
    over_all = built.by_set.iloc[0]
    mlflow.log_metrics({f"held_out_{name}": float(over_all[name]) for name in MEASURES if np.isfinite(over_all[name])})
    mlflow.log_param("unlikeness", "+".join(built.score))
    mlflow.log_artifact(str(built.folder / CARD))
    size = sum(path.stat().st_size for path in built.folder.iterdir())
    mlflow.log_metric("bundle_bytes", size)
    print(f"bundle: {built.characters} characters, {size / 1e6:.1f} MB\n{summary(built.figures)}")


def summary(figures: Mapping[str, float]) -> str:
    """The most important figures, on a few lines."""
    lines = []
    for title, names in SUMMARY.items():
        shown = [name for name in names if name in figures]
        text = (
            f"{name.removeprefix('enrol_').replace('colour_', 'color ').replace('_', ' ')} {figures[name]:.3f}"
            for name in shown
        )
        lines.append(f"{title}: {', '.join(text)}")
    return "\n".join(lines)


if __name__ == "__main__":
    run_step("bundle", Bundle, bundle)
