"""The study behind a sweep: proposals, early stopping and resuming, on objectives that take no time."""

import dataclasses
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from crystal_eyes.errors import UserError
from pipeline.sweeps import report
from pipeline.sweeps.format import SweepFile
from pipeline.sweeps.study import (
    FAILURE,
    failures_in_a_row,
    finished,
    holds,
    open_storage,
    open_study,
    requeue_interrupted_trials,
    suggest,
    under_way,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore::optuna.exceptions.ExperimentalWarning", "ignore::FutureWarning", "ignore:Heartbeat of storage"
)
SPACE = {"drop_rate": FloatDistribution(0.0, 1.0), "weight_decay": FloatDistribution(0.0, 1.0)}
FILE = SweepFile("test", "random", "map_at_r", True, SPACE, {}, 0, 2, None)


@pytest.fixture
def storage(tmp_path):
    return open_storage(f"sqlite:///{tmp_path}/sweeps.db")


def search(storage, file: SweepFile, trials: int, objective=lambda values: values["drop_rate"], name="one", seed=0):
    found = open_study(file, storage, name, seed)
    found.optimize(lambda trial: objective(suggest(trial, file.space)), n_trials=trials, catch=(ArithmeticError,))
    return found


@pytest.mark.parametrize("method", ["random", "bayes", "grid"])
def test_a_resumed_sweep_makes_the_trials_of_an_uninterrupted_one(storage, method):
    space = {"drop_rate": CategoricalDistribution([0.1, 0.2, 0.3]), "batch_size": IntDistribution(1, 3)}
    file = dataclasses.replace(FILE, method=method, space=space if method == "grid" else SPACE)
    whole = search(storage, file, 8, name="whole")
    for trials in (3, 1, 4):
        parts = search(storage, file, trials, name="parts")
    assert [trial.params for trial in parts.trials] == [trial.params for trial in whole.trials]
    other = search(storage, file, 8, name="other", seed=1)
    assert [trial.params for trial in other.trials] != [trial.params for trial in whole.trials]


def test_parameters_are_drawn_independently(storage):
    found = search(storage, FILE, 30)
    assert all(trial.params["drop_rate"] != trial.params["weight_decay"] for trial in found.trials)
    for name in SPACE:
        values = [trial.params[name] for trial in found.trials]
        assert min(values) < 0.25 and max(values) > 0.75


def test_a_grid_visits_every_point_once(storage):
    space = {"drop_rate": FloatDistribution(0.0, 0.4, step=0.2), "batch_size": CategoricalDistribution([8, 16])}
    found = search(storage, dataclasses.replace(FILE, method="grid", space=space), 100)
    points = {(round(trial.params["drop_rate"], 3), trial.params["batch_size"]) for trial in found.trials}
    assert len(found.trials) == 6 and points == {(rate, size) for rate in (0.0, 0.2, 0.4) for size in (8, 16)}


def test_values_outside_the_search_space_are_recognized():
    space = {"drop_rate": FloatDistribution(0.1, 0.5), "batch_size": CategoricalDistribution([16, 32])}
    assert holds(space, {"drop_rate": 0.1, "batch_size": 32})
    assert not holds(space, {"drop_rate": 0.0, "batch_size": 32}) and not holds(space, {"drop_rate": 0.1, "batch_size": 8})


def test_bayes_comes_closer_than_random(storage):
    def objective(values):
        return -((values["drop_rate"] - 0.31) ** 2) - (values["weight_decay"] - 0.77) ** 2

    best = {}
    for method in ("random", "bayes"):
        file = dataclasses.replace(FILE, method=method)
        best[method] = [search(storage, file, 20, objective, f"{method} {seed}", seed).best_value for seed in range(2)]
    assert sum(best["bayes"]) > sum(best["random"])


def test_a_parameter_that_matters_is_more_important_than_a_dummy(storage):
    found = search(storage, FILE, 40, lambda values: (values["weight_decay"] - 0.5) ** 2)
    importance = report.importances(report.comparable_trials(found)[0])
    assert next(iter(importance)) == "weight_decay" and importance["weight_decay"] > 2 * importance["drop_rate"]


def test_trials_that_were_stopped_early_are_compared_by_the_epoch_that_all_reached():
    found = optuna.create_study(direction="maximize")
    curves = {0.1: [0.1, 0.2, 0.9], 0.2: [0.3, 0.1], 0.3: [0.25, float("nan"), 0.4, 0.5]}
    for rate, curve in curves.items():
        state = optuna.trial.TrialState.PRUNED if rate == 0.2 else optuna.trial.TrialState.COMPLETE
        found.add_trial(
            optuna.create_trial(
                params={"drop_rate": rate}, distributions={"drop_rate": SPACE["drop_rate"]}, state=state,
                value=None if rate == 0.2 else 0.9, intermediate_values=dict(enumerate(curve, 1)),
            )
        )  # fmt: skip
    even, epoch = report.comparable_trials(found)
    assert epoch == 2 and {t.params["drop_rate"]: t.value for t in even.trials} == {0.1: 0.2, 0.2: 0.3, 0.3: 0.25}
    ended = optuna.create_study(direction="maximize")
    ended.add_trials([trial for trial in found.trials if trial.params["drop_rate"] != 0.2])
    even, epoch = report.comparable_trials(ended)
    assert epoch == 0 and [trial.value for trial in even.trials] == [0.9, 0.9]


def test_clearly_worse_trials_are_stopped_after_the_first_epochs(storage):
    file = dataclasses.replace(FILE, first_epochs=2)
    lengths = {}

    def objective(trial):
        quality = suggest(trial, file.space)["drop_rate"]
        for epoch in range(1, 9):
            trial.report(quality + 0.01 * epoch, epoch)
            lengths[trial.number] = epoch
            if trial.should_prune():
                raise optuna.TrialPruned
        return quality

    found = open_study(file, storage, "stopped", 0)
    found.optimize(objective, n_trials=16)
    best = max(range(16), key=lambda number: found.trials[number].params["drop_rate"])
    worst = min(range(4, 16), key=lambda number: found.trials[number].params["drop_rate"])
    assert lengths[best] == 8 and lengths[worst] == 2
    assert len(finished(found)) == 16 and 3 < sum(length < 8 for length in lengths.values()) < 16


def test_an_interrupted_trial_is_requeued_first_and_counts_once(storage):
    def objective(trial):
        suggest(trial, SPACE)
        if trial.number == 2:
            raise KeyboardInterrupt
        return 1.0

    found = open_study(FILE, storage, "broken", 0)
    with pytest.raises(KeyboardInterrupt):
        found.optimize(objective, n_trials=5)
    assert len(finished(found)) == 2
    for _ in range(2):  # asked twice, requeued once
        requeue_interrupted_trials(found)
    found.optimize(objective, n_trials=1)
    assert found.trials[3].params == found.trials[2].params and found.trials[3].value == 1.0
    assert len(finished(found)) == 3 and len(found.trials) == 4
    requeue_interrupted_trials(found)
    assert len(found.trials) == 4


def test_failures_count_and_are_counted_in_a_row(storage):
    def objective(trial):
        suggest(trial, SPACE)
        if trial.number in (1, 3, 4):
            trial.set_user_attr(FAILURE, f"reason {trial.number}")
            raise ArithmeticError
        return 0.0

    found, rows = open_study(FILE, storage, "failures", 0), []
    for _ in range(5):
        found.optimize(objective, n_trials=1, catch=(ArithmeticError,))
        rows.append(failures_in_a_row(found))
    assert rows == [[], ["reason 1"], [], ["reason 3"], ["reason 4", "reason 3"]] and len(finished(found)) == 5


def test_a_trial_counts_as_failed_when_it_ends_not_when_it_records_the_reason(storage):
    found = open_study(FILE, storage, "failing", 0)
    ended, failing = found.ask(SPACE), found.ask(SPACE)
    for trial in (ended, failing):
        trial.set_user_attr(FAILURE, "a reason")
    found.tell(ended, state=optuna.trial.TrialState.FAIL)
    assert len(finished(found)) == 1 and failures_in_a_row(found) == ["a reason"]


def test_a_killed_trial_is_under_way_until_its_grace_period_ends_and_is_then_requeued(storage):
    found = open_study(FILE, storage, "killed", 0)
    trial = found.ask(SPACE)
    storage.record_heartbeat(trial._trial_id)
    assert under_way(found) == 1
    storage.grace_period = 1
    time.sleep(2.5)
    assert under_way(found) == 0
    (again,) = found.get_trials(states=(optuna.trial.TrialState.WAITING,))
    assert again.params == trial.params


def test_concurrent_workers_share_a_study_without_repeating_trials(storage, tmp_path):
    def join(number: int):
        return search(open_storage(f"sqlite:///{tmp_path}/sweeps.db"), FILE, 5, name="joined")

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(join, range(3)))
    found = open_study(FILE, storage, "joined", 0)
    assert len({tuple(trial.params.values()) for trial in found.trials}) == len(found.trials) == 15


def test_concurrent_creation_of_the_same_database_succeeds(tmp_path):
    with ThreadPoolExecutor(6) as pool:
        opened = list(pool.map(lambda _: open_storage(f"sqlite:///{tmp_path}/new.db"), range(6)))
    assert all(storage.get_all_studies() == [] for storage in opened)


@pytest.mark.parametrize(
    "address",
    ["nonsense", "sqlite:////no/such/folder/x.db", "postgresql://nobody@127.0.0.1:1/none", "postgresql://me@here:abc/x"],
)
def test_a_storage_that_cannot_be_opened_is_named_with_the_remedy(address):
    with pytest.raises(UserError, match="storage can't be opened .*: give sqlite:///FILE or postgresql://"):
        open_storage(address)


def test_a_storage_that_names_a_password_is_refused():
    for address in ("postgresql://me:secret@127.0.0.1/none", "postgresql://me@127.0.0.1/none?password=secret"):
        with pytest.raises(UserError, match="put the password into ~/.pgpass") as raised:
            open_storage(address)
        assert "secret" not in str(raised.value)


def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path):
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        database.execute("CREATE TABLE alembic_version (version_num VARCHAR)")
    before = (tmp_path / "mlflow.db").read_bytes()
    with pytest.raises(UserError, match="the database of another program, such as MLflow: give the sweep one of its own"):
        open_storage(f"sqlite:///{tmp_path}/mlflow.db")
    assert (tmp_path / "mlflow.db").read_bytes() == before


def test_a_gain_is_reported_with_its_standard_error_and_noise_is_called_noise():
    clear = report.Compared([0.30, 0.31, 0.32], [0.35, 0.365, 0.37])
    assert clear.gain == pytest.approx(0.155 / 3) and clear.spread == pytest.approx(0.0016667, rel=1e-3)
    assert "more than twice its standard error" in clear.verdict() and "3 seeds" in clear.verdict() and clear.clear
    noise = report.Compared([0.30, 0.36, 0.32], [0.35, 0.31, 0.33])
    assert "within noise" in noise.verdict() and not noise.clear
    alone = report.Compared([0.3], [0.4])
    assert "unknown for one seed" in alone.verdict() and not alone.clear
    assert "clearly worse, keep the defaults" in report.Compared([0.4, 0.41], [0.3, 0.312]).verdict()
    assert "not compared" in report.Compared([float("nan")] * 2, [float("nan")] * 2).verdict()
