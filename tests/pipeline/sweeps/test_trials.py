"""What a training's curve is worth to a sweep."""

import dataclasses
import threading
from types import SimpleNamespace

import optuna
import pytest
from optuna.distributions import FloatDistribution

from crystal_eyes.errors import UserError
from pipeline.sweeps.format import SweepFile
from pipeline.sweeps.trials import Trials, best

FILE = SweepFile("test", "random", "map_at_r", True, {"drop_rate": FloatDistribution(0.0, 1.0)}, {}, 0, 2, None)
RUN = SimpleNamespace(data=SimpleNamespace(metrics={"loss": 1.0, "map_at_r": 0.5}))


def test_a_trial_is_worth_its_best_epoch_whichever_way_is_better():
    history = {1: 0.2, 2: float("nan"), 3: 0.4, 4: 0.3}
    assert best(history, FILE, RUN) == 0.4
    assert best(history, dataclasses.replace(FILE, maximize=False), RUN) == 0.2


def test_a_metric_that_never_was_a_number_or_was_never_logged_is_named():
    with pytest.raises(UserError, match="metric map_at_r was no number in any of 2 epochs"):
        best({1: float("nan"), 2: float("nan")}, FILE, RUN)
    with pytest.raises(UserError, match="metric accuracy was never logged by train: it logs loss, map_at_r"):
        best({}, dataclasses.replace(FILE, metric="accuracy"), RUN)


def test_what_no_trial_may_fail_for_is_kept_for_the_sweep():
    # no epochs: a fault of ours, that Optuna's last threads would swallow
    trials = Trials(FILE, {}, None, True, threading.Event())
    optuna.create_study().optimize(trials, n_trials=2, n_jobs=2, catch=(UserError,))
    assert isinstance(trials.broken, KeyError)
