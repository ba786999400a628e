"""The Optuna study behind a sweep: how trials are proposed, stopped early, stored and counted."""

import hashlib
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, GridSampler, RandomSampler, TPESampler
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from crystal_eyes.errors import UserError
from pipeline.sweeps.format import SweepFile

STARTUP = 5  # random trials before bayes has data to learn from
HEARTBEAT, GRACE_PERIOD = 10, 40  # seconds: how often a trial reports that it is alive, and when it counts as killed
TRIES = 5  # to create the tables of a new database, in case several machines start at once
FAILURE = "failure"  # attribute of a failed trial: the reason. A failed trial without it was interrupted, and is tried again


def open_storage(address: str) -> RDBStorage:
    """address: sqlite:///FILE or postgresql://..., which any number of machines may share. Raises UserError."""
    address = address.replace("postgresql://", "postgresql+psycopg://", 1)
    for left in reversed(range(TRIES)):
        try:
            url = make_url(address)
            if url.password or "password" in url.query:
                raise UserError(
                    "storage contains a password, which MLflow would record: put the password into ~/.pgpass or PGPASSWORD"
                )
            _require_own_database(url)
            return RDBStorage(
                address, heartbeat_interval=HEARTBEAT, grace_period=GRACE_PERIOD, heartbeat_stale_trial_callback=_requeue
            )
        except (ArgumentError, ImportError, SQLAlchemyError, ValueError) as error:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            if left and any(words in reason.lower() for words in ("already exists", "duplicate key", "unique constraint")):
                time.sleep(1)  # another machine is creating the tables right now
                continue
            raise UserError(
                f"storage can't be opened ({reason}): give sqlite:///FILE or postgresql://USER@HOST/DATABASE"
            ) from None
    raise AssertionError("unreachable: the last try returns or raises")


def _require_own_database(url: URL) -> None:
    """Raise UserError for the database of another program, before Optuna creates its tables there and then rejects it."""
    engine = create_engine(url, poolclass=NullPool)
    tables = inspect(engine).get_table_names()
    if "alembic_version" in tables and "version_info" not in tables:
        raise UserError(
            "storage is the database of another program, such as MLflow: give the sweep one of its own (CREATE DATABASE sweeps)"
        )


def open_study(file: SweepFile, storage: RDBStorage, name: str, seed: int) -> optuna.Study:
    """The study of this name, created if there is none yet."""
    pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
    if file.first_epochs:
        # W&B's hyperband is one bracket of asynchronous successive halving (Li et al., 2018)
        pruner = optuna.pruners.SuccessiveHalvingPruner(file.first_epochs, file.one_in)
    direction = StudyDirection.MAXIMIZE if file.maximize else StudyDirection.MINIMIZE
    return optuna.create_study(
        storage=storage, sampler=SeededSampler(file, seed), pruner=pruner, study_name=name, direction=direction,
        load_if_exists=True,
    )  # fmt: skip


class SeededSampler(BaseSampler):
    """Draws each trial from (seed, trial number): a resumed sweep makes the same trials as an uninterrupted one, and machines
    that share a study don't repeat each other's."""

    def __init__(self, file: SweepFile, seed: int):
        self.file, self.seed = file, seed

    def _own(self, trial: FrozenTrial, parameter: str = "") -> BaseSampler:
        if self.file.method == "grid":
            return GridSampler({name: grid(found) for name, found in self.file.space.items()}, self.seed)
        seed = int.from_bytes(hashlib.sha256(f"{self.seed} {trial.number} {parameter}".encode()).digest()[:4], "big")
        if self.file.method == "random":
            return RandomSampler(seed)
        return TPESampler(seed=seed, n_startup_trials=STARTUP, multivariate=True, warn_independent_sampling=False)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._own(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._own(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._own(trial, param_name).sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self._own(trial).before_trial(study, trial)

    def after_trial(self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        self._own(trial).after_trial(study, trial, state, values)


def suggest(trial: optuna.Trial, space: dict[str, BaseDistribution]) -> dict[str, Any]:
    """A value of each parameter for a trial."""
    found = {}
    for name, one in space.items():
        if isinstance(one, CategoricalDistribution):
            found[name] = trial.suggest_categorical(name, one.choices)
        elif isinstance(one, IntDistribution):
            found[name] = trial.suggest_int(name, one.low, one.high)
        else:
            assert isinstance(one, FloatDistribution)
            found[name] = trial.suggest_float(name, one.low, one.high, step=one.step, log=one.log)
    return found


def holds(space: dict[str, BaseDistribution], values: dict[str, Any]) -> bool:
    """Whether these values are in the search space."""
    try:
        optuna.create_trial(params=values, distributions=space, value=0.0)
    except ValueError:
        return False
    return True


def grid(one: BaseDistribution) -> list[Any]:
    """Every value of a choice or a stepped range."""
    if isinstance(one, CategoricalDistribution):
        return list(one.choices)
    assert isinstance(one, IntDistribution | FloatDistribution) and one.step  # as format.py makes sure
    return [one.low + number * one.step for number in range(round((one.high - one.low) / one.step) + 1)]


def requeue_interrupted_trials(study: optuna.Study) -> None:
    """Put interrupted trials first in the queue, except those that are waiting there already."""
    trials = study.get_trials(deepcopy=False)
    requeued = {number for trial in trials for number in trial.system_attrs.get("retry_history", [])}
    for trial in trials:
        if trial.state == TrialState.FAIL and trial.number not in requeued:
            _requeue(study, trial)


def _requeue(study: optuna.Study, trial: FrozenTrial) -> None:
    """Put an interrupted trial first in the queue, unless it failed for a reason and was killed while it recorded that."""
    if FAILURE not in trial.user_attrs:
        RetryHeartbeatStaleTrialCallback()(study, trial)


def under_way(study: optuna.Study) -> int:
    """How many trials are running, here or elsewhere. Killed trials are first marked as failed and requeued."""
    optuna.storages.fail_stale_trials(study)
    return len(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """Trials that count: those that completed, were stopped early, or failed for a reason. Not interrupted ones."""
    return [trial for trial in study.get_trials(deepcopy=False)
            if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
            or (trial.state == TrialState.FAIL and FAILURE in trial.user_attrs)]  # fmt: skip


def failures_in_a_row(study: optuna.Study) -> list[str]:
    """The reasons of the latest trials, newest first, back to the last one that did not fail."""
    reasons = []
    for trial in sorted(finished(study), key=lambda trial: trial.datetime_complete or datetime.min, reverse=True):
        if FAILURE not in trial.user_attrs:
            break
        reasons.append(trial.user_attrs[FAILURE])
    return reasons
