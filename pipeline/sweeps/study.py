"""The Optuna study behind a sweep: how trials are proposed, stopped early, stored, and counted."""

import hashlib
import time
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler, GridSampler, RandomSampler, TPESampler
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from crystal_eyes.errors import UserError
from pipeline.sweeps.format import SweepFile

STARTUP = 5  # random trials before bayes has something to learn from
ALIVE, DEAD = 10, 40  # seconds: how often a trial says that it is alive, and when it counts as killed
TRIES = 5  # to make the tables of a new database, where several machines begin at once
FAILURE = "failure"  # attribute of a trial that failed: the reason. One without it was broken off, and is tried again


def open_storage(address: str) -> RDBStorage:
    """address: sqlite:///FILE or postgresql://..., which any number of machines may share. Raises UserError."""
    address = address.replace("postgresql://", "postgresql+psycopg://", 1)
    for left in reversed(range(TRIES)):
        try:
            url = make_url(address)
            if url.password or "password" in url.query:
                raise UserError("storage names a password, which MLflow records: put the password into ~/.pgpass or PGPASSWORD")
            return RDBStorage(address, heartbeat_interval=ALIVE, grace_period=DEAD, heartbeat_stale_trial_callback=_again)
        except (ArgumentError, ImportError, SQLAlchemyError, ValueError) as error:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            if left and any(words in reason.lower() for words in ("already exists", "duplicate key", "unique constraint")):
                time.sleep(1)  # another machine makes the tables at this very moment
                continue
            raise UserError(
                f"storage can't be opened ({reason}): give sqlite:///FILE or postgresql://USER@HOST/DATABASE"
            ) from None


def open_study(file: SweepFile, storage: RDBStorage, name: str, seed: int) -> optuna.Study:
    """The study of this name, begun where there is none yet."""
    pruner = optuna.pruners.NopPruner()
    if file.first_epochs:
        # W&B's hyperband is one bracket of successive halving that waits for nobody (Li et al., 2018)
        pruner = optuna.pruners.SuccessiveHalvingPruner(file.first_epochs, file.one_in)
    direction = "maximize" if file.maximize else "minimize"
    return optuna.create_study(
        storage=storage, sampler=SeededSampler(file, seed), pruner=pruner, study_name=name, direction=direction,
        load_if_exists=True,
    )  # fmt: skip


class SeededSampler(BaseSampler):
    """Draws each trial from (seed, its number): a sweep gone on with makes the trials that it would have made in one go, and
    machines that join it don't repeat one another."""

    def __init__(self, file: SweepFile, seed: int):
        self.file, self.seed = file, seed

    def _own(self, trial: FrozenTrial, parameter: str = "") -> BaseSampler:
        if self.file.method == "grid":
            return GridSampler({name: grid(found) for name, found in self.file.space.items()}, self.seed)
        seed = int.from_bytes(hashlib.sha256(f"{self.seed} {trial.number} {parameter}".encode()).digest()[:4], "big")
        if self.file.method == "random":
            return RandomSampler(seed)
        return TPESampler(seed=seed, n_startup_trials=STARTUP, multivariate=True, warn_independent_sampling=False)

    def infer_relative_search_space(self, study, trial):
        return self._own(trial).infer_relative_search_space(study, trial)

    def sample_relative(self, study, trial, search_space):
        return self._own(trial).sample_relative(study, trial, search_space)

    def sample_independent(self, study, trial, param_name, param_distribution):
        return self._own(trial, param_name).sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study, trial):
        self._own(trial).before_trial(study, trial)

    def after_trial(self, study, trial, state, values):
        self._own(trial).after_trial(study, trial, state, values)


def suggest(trial: optuna.Trial, space: dict[str, BaseDistribution]) -> dict[str, Any]:
    """A trial's value of each parameter."""
    found = {}
    for name, one in space.items():
        if isinstance(one, CategoricalDistribution):
            found[name] = trial.suggest_categorical(name, one.choices)
        elif isinstance(one, IntDistribution):
            found[name] = trial.suggest_int(name, one.low, one.high)
        else:
            found[name] = trial.suggest_float(name, one.low, one.high, step=one.step, log=one.log)
    return found


def holds(space: dict[str, BaseDistribution], values: dict[str, Any]) -> bool:
    """Whether a search can come upon these values."""
    try:
        optuna.create_trial(params=values, distributions=space, value=0.0)
    except ValueError:
        return False
    return True


def grid(found: BaseDistribution) -> list[Any]:
    """Every value of a choice or a stepped range."""
    if isinstance(found, CategoricalDistribution):
        return list(found.choices)
    return [found.low + number * found.step for number in range(round((found.high - found.low) / found.step) + 1)]


def try_again_what_was_broken_off(study: optuna.Study) -> None:
    """Put trials that were interrupted, and are not waiting to be tried again yet, before all others."""
    trials = study.get_trials(deepcopy=False)
    again = {number for trial in trials for number in trial.system_attrs.get("retry_history", [])}
    for trial in trials:
        if trial.state == TrialState.FAIL and trial.number not in again:
            _again(study, trial)


def _again(study: optuna.Study, trial: FrozenTrial) -> None:
    """Put a trial that was broken off before all others; not one that failed for a reason and was killed while it said so."""
    if FAILURE not in trial.user_attrs:
        RetryHeartbeatStaleTrialCallback()(study, trial)


def under_way(study: optuna.Study) -> int:
    """How many trials run now, here or elsewhere. Those that were killed are first given up, and put before all others."""
    optuna.storages.fail_stale_trials(study)
    return len(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """Trials that count: those that ended, were stopped early, or failed for a reason. Not those that were broken off."""
    return [trial for trial in study.get_trials(deepcopy=False)
            if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
            or (trial.state == TrialState.FAIL and FAILURE in trial.user_attrs)]  # fmt: skip


def failures_in_a_row(study: optuna.Study) -> list[str]:
    """The reasons of the newest trials, as far back as they all failed."""
    reasons = []
    for trial in sorted(finished(study), key=lambda trial: trial.datetime_complete, reverse=True):
        if FAILURE not in trial.user_attrs:
            break
        reasons.append(trial.user_attrs[FAILURE])
    return reasons
