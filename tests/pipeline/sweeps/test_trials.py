"""How a trial turns the metric history of a training run into one value."""

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


def test_the_value_of_a_trial_is_that_of_its_best_epoch():
    history = {1: 0.2, 2: float("nan"), 3: 0.4, 4: 0.3}
    assert best(history, FILE, RUN) == 0.4
    assert best(history, dataclasses.replace(FILE, maximize=False), RUN) == 0.2


def test_a_metric_that_was_always_nan_or_never_logged_is_named():
    with pytest.raises(UserError, match="metric map_at_r was NaN in all 2 epochs"):
        best({1: float("nan"), 2: float("nan")}, FILE, RUN)
    with pytest.raises(UserError, match="train never logged the metric accuracy; it logs loss, map_at_r"):
        best({}, dataclasses.replace(FILE, metric="accuracy"), RUN)


def test_an_unexpected_error_in_a_trial_is_kept_for_the_sweep():
    # epochs are missing: a bug, which Optuna's last threads would swallow
    trials = Trials(FILE, {}, None, True, threading.Event())
    optuna.create_study().optimize(trials, n_trials=2, n_jobs=2, catch=(UserError,))
    assert isinstance(trials.broken, KeyError)
