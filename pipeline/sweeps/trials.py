"""One trial: a training run in its own process, checked after each epoch and stopped if others are clearly better."""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import optuna
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.projects.submitted_run import SubmittedRun

from crystal_eyes.errors import UserError
from pipeline.cache.workspace import discard
from pipeline.get_or_run import _get_or_run, key_of
from pipeline.step import FAILURE as STEP_FAILURE
from pipeline.sweeps.format import SweepFile
from pipeline.sweeps.study import FAILURE, suggest

POLL = 1.0  # seconds
RUN = "run_id"  # attribute of a trial: the MLflow run of its training


class TrialFailed(Exception):
    """A trial failed for a reason; the sweep continues."""


@dataclass
class Trials:
    """Runs the trials of one sweep. parameters: train's, as far as all trials share them."""

    file: SweepFile
    parameters: dict[str, Any]
    parent: Run
    use_cache: bool
    stopped: threading.Event  # set when the sweep is interrupted
    broken: BaseException | None = None  # an error that must end the sweep: Optuna drops what its last threads raise

    def __call__(self, trial: optuna.Trial) -> float:
        """The trial's value: that of its best epoch. Raises TrialFailed, or TrialPruned if it is stopped early."""
        try:
            return self._value(trial)
        except (TrialFailed, optuna.TrialPruned):
            raise
        except BaseException as error:
            self.broken = error
            raise

    def _value(self, trial: optuna.Trial) -> float:
        values = suggest(trial, self.file.space)
        name = f"trial {trial.number}: " + ", ".join(f"{name}={_short(value)}" for name, value in values.items())
        print(name, flush=True)
        trial.set_user_attr(RUN, "")  # a requeued trial still has that of its interrupted run
        try:
            run = _get_or_run("train", self.parameters | values, self.use_cache, self.parent, self._watch(trial), name)
            trial.set_user_attr(RUN, run.info.run_id)
            history = _history(run.info.run_id, self.file.metric)
            self._report(trial, history)
            value = best(history, self.file, run)
        except optuna.TrialPruned:
            discard(key_of("train", self.parameters | values).digest)
            # the training run set its status to failed when it ended
            MlflowClient().set_terminated(trial.user_attrs[RUN], "KILLED")
            raise
        except UserError as error:
            reason = str(error)
            if found := trial.user_attrs.get(RUN):
                reason = MlflowClient().get_run(found).data.tags.get(STEP_FAILURE, reason)
            trial.set_user_attr(FAILURE, reason)
            print(f"trial {trial.number} failed: {reason}", flush=True)
            raise TrialFailed(reason) from None
        print(f"trial {trial.number}: {self.file.metric} {value:.4f}", flush=True)
        return value

    def _watch(self, trial: optuna.Trial) -> Callable[[SubmittedRun], None]:
        last = (self.parameters | trial.params)["epochs"]

        def watch(submitted: SubmittedRun) -> None:
            trial.set_user_attr(RUN, submitted.run_id)
            while submitted.get_status() == "RUNNING":
                if self.stopped.wait(POLL):
                    raise KeyboardInterrupt
                history = _history(submitted.run_id, self.file.metric)
                if not self._report(trial, history):
                    continue
                newest = max(history)
                # after the last epoch stopping saves nothing; NaN does not mean that others are better
                if newest < last and not math.isnan(history[newest]) and trial.should_prune():
                    print(
                        f"trial {trial.number}: stopped early, because other trials were better at the same epoch", flush=True
                    )
                    raise optuna.TrialPruned

        return watch

    @staticmethod
    def _report(trial: optuna.Trial, history: dict[int, float]) -> bool:
        """Report new epochs to Optuna; returns whether there were any."""
        known = trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values
        new = sorted(history.keys() - known.keys())
        for step in new:
            trial.report(history[step], step)
        return bool(new)


def best(history: dict[int, float], file: SweepFile, run: Run) -> float:
    """The metric of the best epoch. Raises UserError if it was never logged, or was NaN in every epoch."""
    if not history:
        logged = ", ".join(sorted(run.data.metrics)) or "none"
        raise UserError(f"train never logged the metric {file.metric}; it logs {logged}")
    numbers = [value for value in history.values() if not math.isnan(value)]
    if not numbers:
        raise UserError(f"metric {file.metric} was NaN in all {len(history)} epochs")
    return (max if file.maximize else min)(numbers)


def _history(run_id: str, metric: str) -> dict[int, float]:
    return {point.step: point.value for point in MlflowClient().get_metric_history(run_id, metric)}


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
