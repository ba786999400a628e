"""What a sweep reports: its trials, the best parameters, plots, and whether they beat the defaults."""

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
    """One row per trial: number, state, metric (of the best epoch; of the last one if it was stopped early), epochs, seconds,
    parameters, run, reason of a failure."""
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
    """Log best parameters and plots to the active run; returns the former. Raises UserError if no trial completed."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not complete:
        raise UserError(f"no trial completed: the artifact {TRIALS} of this run lists the reasons")
    best = file.fixed | study.best_params
    mlflow.log_text(json.dumps(best, indent=1), BEST)
    mlflow.log_metric(f"best_{file.metric}", study.best_value)
    for trial in complete:
        assert trial.value is not None  # of a completed trial
        mlflow.log_metric(file.metric, trial.value, step=trial.number)
    comparable, epoch = comparable_trials(study)
    mlflow.log_metrics({f"importance/{name}": value for name, value in importances(comparable).items()})
    if len(comparable.trials) > 1:
        _log_plots(study, comparable, epoch, file.metric)
    return best


def _log_plots(study: optuna.Study, comparable: optuna.Study, epoch: int, metric: str) -> None:
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    by_then = f"{metric} by epoch {epoch}" if epoch else metric
    with TemporaryDirectory() as folder:
        for name in PLOTS:
            if name == "param_importances" and not importances(comparable):
                continue
            plot = getattr(optuna.visualization.matplotlib, f"plot_{name}")
            shown, label = (study, metric) if name == "optimization_history" else (comparable, by_then)
            axes = plot(shown, target_name=label)
            figure = np.ravel(np.asarray(axes, dtype=object))[0].figure
            figure.set_size_inches(10, 6)
            path = Path(folder) / f"{name}.png"
            figure.savefig(path, dpi=100, bbox_inches="tight")
            plt.close(figure)
            mlflow.log_artifact(str(path), "plots")


def importances(comparable: optuna.Study) -> dict[str, float]:
    """Share of the metric's variance that each parameter explains, largest first; empty if all trials are equal."""
    return optuna.importance.get_param_importances(comparable) if len({trial.value for trial in comparable.trials}) > 1 else {}


def comparable_trials(study: optuna.Study) -> tuple[optuna.Study, int]:
    """The trials that completed or were stopped early, each with its best value up to the epoch that all of them reached; and
    that epoch, 0 if none was stopped early. The completed trials alone would be few, and only the good ones."""
    complete, pruned = (study.get_trials(deepcopy=False, states=(state,)) for state in (TrialState.COMPLETE, TrialState.PRUNED))
    pruned = [trial for trial in pruned if trial.intermediate_values]
    epoch = min((max(trial.intermediate_values) for trial in pruned), default=0)
    comparable = optuna.create_study(direction=study.direction)
    pick = max if study.direction == StudyDirection.MAXIMIZE else min
    for trial in [*complete, *pruned]:
        by_then = [value for step, value in trial.intermediate_values.items() if step <= epoch]
        value = pick((v for v in by_then if not math.isnan(v)), default=None) if epoch else trial.value
        if value is not None:
            comparable.add_trial(optuna.create_trial(params=trial.params, distributions=trial.distributions, value=value))
    return comparable, epoch


@dataclass(frozen=True)
class Compared:
    """Defaults and best parameters over the same seeds: MAP@R of characters that neither training nor the sweep saw."""

    defaults: list[float]
    best: list[float]

    @property
    def gain(self) -> float:
        return float(np.mean(self.best) - np.mean(self.defaults))

    @property
    def spread(self) -> float:
        """Standard error of the gain over seeds. Both sides have the same seeds, so it is that of the paired differences."""
        differences = np.subtract(self.best, self.defaults)
        return float(differences.std(ddof=1) / np.sqrt(len(differences))) if len(differences) > 1 else float("nan")

    @property
    def clear(self) -> bool:
        """Whether the gain is more than twice its standard error, which is unknown for one seed."""
        return bool(self.gain > 2 * self.spread)

    def verdict(self) -> str:
        if not np.isfinite(self.gain):
            return "defaults and best were not compared, because no test character has two pictures"
        seeds = f"{len(self.best)} seed{'s' * (len(self.best) > 1)}"
        figures = (
            f"test MAP@R of characters that neither training nor the sweep saw, {seeds}: defaults {_joined(self.defaults)}, "
            f"best {_joined(self.best)}, gain {self.gain:+.4f}"
        )
        if np.isnan(self.spread):
            return f"{figures}; its standard error is unknown for one seed"
        if self.clear:
            meaning = "more than twice its standard error"
        else:
            meaning = "clearly worse, keep the defaults" if -self.gain > 2 * self.spread else "within noise, keep the defaults"
        return f"{figures} (standard error {self.spread:.4f}): {meaning}"


def _joined(values: Iterable[float]) -> str:
    return "/".join(f"{value:.4f}" for value in values)
