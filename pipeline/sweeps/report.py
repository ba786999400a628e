"""What a sweep leaves to look at: its trials, the best parameters, plots, and whether they beat the defaults."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import matplotlib
import mlflow
import numpy as np
import optuna
import pandas as pd
from optuna.study import StudyDirection
from optuna.trial import TrialState

from crystal_eyes.errors import UserError
from pipeline.sweeps.format import SweepFile
from pipeline.sweeps.study import FAILURE
from pipeline.sweeps.trials import RUN

TRIALS, BEST = "trials.csv", "best_parameters.json"
PLOTS = ("optimization_history", "param_importances", "parallel_coordinate", "slice")


def table(study: optuna.Study, metric: str) -> pd.DataFrame:
    """A row a trial: number, state, metric (of the best epoch; of the last where it was stopped), epochs, seconds, parameters,
    run, what went wrong."""
    rows = []
    for trial in study.get_trials(deepcopy=False):
        seconds = trial.duration.total_seconds() if trial.duration else float("nan")
        rows.append({"trial": trial.number, "state": trial.state.name.lower(), metric: trial.value,
                     "epochs": len(trial.intermediate_values), "seconds": round(seconds, 1), **trial.params,
                     "run": trial.user_attrs.get(RUN, ""), "failure": trial.user_attrs.get(FAILURE, "")})  # fmt: skip
    return pd.DataFrame(rows)


def log_trials(study: optuna.Study, file: SweepFile) -> None:
    """Log the table of trials to the active run."""
    mlflow.log_text(table(study, file.metric).to_csv(index=False), TRIALS)


def log_study(study: optuna.Study, file: SweepFile) -> dict[str, Any]:
    """Log the best parameters and the plots to the active run; the best parameters. Raises UserError."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not complete:
        raise UserError(f"no trial reached its end: see {TRIALS} of this run for what went wrong")
    best = file.fixed | study.best_params
    mlflow.log_text(json.dumps(best, indent=1), BEST)
    mlflow.log_metric(f"best_{file.metric}", study.best_value)
    for trial in complete:
        mlflow.log_metric(file.metric, trial.value, step=trial.number)
    even, epoch = even_terms(study)
    mlflow.log_metrics({f"importance/{name}": value for name, value in importances(even).items()})
    if len(even.trials) > 1:
        _log_plots(study, even, epoch, file.metric)
    return best


def _log_plots(study: optuna.Study, even: optuna.Study, epoch: int, metric: str) -> None:
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    by_then = f"{metric} by epoch {epoch}" if epoch else metric
    with TemporaryDirectory() as folder:
        for name in PLOTS:
            if name == "param_importances" and not importances(even):
                continue
            plot = getattr(optuna.visualization.matplotlib, f"plot_{name}")
            shown, said = (study, metric) if name == "optimization_history" else (even, by_then)
            axes = plot(shown, target_name=said)
            figure = np.ravel(np.asarray(axes, dtype=object))[0].figure
            figure.set_size_inches(10, 6)
            path = Path(folder) / f"{name}.png"
            figure.savefig(path, dpi=100, bbox_inches="tight")
            plt.close(figure)
            mlflow.log_artifact(str(path), "plots")


def importances(even: optuna.Study) -> dict[str, float]:
    """How much of the metric's spread each parameter explains, the most important first; empty where nothing differs."""
    return optuna.importance.get_param_importances(even) if len({trial.value for trial in even.trials}) > 1 else {}


def even_terms(study: optuna.Study) -> tuple[optuna.Study, int]:
    """The trials that ended or were stopped early, each with its best value by the epoch that all of them reached; and that
    epoch, 0 where none was stopped early. Those that ended alone are few, and the good ones only."""
    complete, pruned = (study.get_trials(deepcopy=False, states=(state,)) for state in (TrialState.COMPLETE, TrialState.PRUNED))
    pruned = [trial for trial in pruned if trial.intermediate_values]
    epoch = min((max(trial.intermediate_values) for trial in pruned), default=0)
    even = optuna.create_study(direction=study.direction)
    pick = max if study.direction == StudyDirection.MAXIMIZE else min
    for trial in [*complete, *pruned]:
        by_then = [value for step, value in trial.intermediate_values.items() if step <= epoch]
        value = pick((v for v in by_then if not math.isnan(v)), default=None) if epoch else trial.value
        if value is not None:
            even.add_trial(optuna.create_trial(params=trial.params, distributions=trial.distributions, value=value))
    return even, epoch


@dataclass(frozen=True)
class Compared:
    """The defaults and the best parameters over the same seeds, on characters that neither training nor the sweep saw."""

    defaults: list[float]
    best: list[float]

    @property
    def gain(self) -> float:
        return float(np.mean(self.best) - np.mean(self.defaults))

    @property
    def spread(self) -> float:
        """Standard error of the gain over seeds: the same seed on both sides, so their differences."""
        differences = np.subtract(self.best, self.defaults)
        return float(differences.std(ddof=1) / np.sqrt(len(differences))) if len(differences) > 1 else float("nan")

    @property
    def clear(self) -> bool:
        """Whether the best are better beyond doubt; of one seed nobody knows."""
        return bool(self.gain > 2 * self.spread)

    def verdict(self) -> str:
        if not np.isfinite(self.gain):
            return "defaults and best are not compared: no test character has two pictures"
        seeds = f"{len(self.best)} seed{'s' * (len(self.best) > 1)}"
        said = (
            f"test MAP@R of characters that neither training nor the sweep saw, {seeds}: defaults {_several(self.defaults)}, "
            f"best {_several(self.best)}, gain {self.gain:+.4f}"
        )
        if np.isnan(self.spread):
            return f"{said}; its spread is not known from one seed"
        if self.clear:
            meant = "more than twice its standard error"
        else:
            meant = (
                "clearly worse, keep the defaults" if -self.gain > 2 * self.spread else "not clear of noise, keep the defaults"
            )
        return f"{said} (standard error {self.spread:.4f}): {meant}"


def _several(values: Iterable[float]) -> str:
    return "/".join(f"{value:.4f}" for value in values)
