"""The entry point sweep. Most training runs are faked, in this process; an interruption is real."""

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from PIL import Image

from crystal_eyes.errors import UserError
from crystal_eyes.paths import cache_home
from pipeline import sweep as entry_point
from pipeline.chain import run_chain
from pipeline.parameters.declare import as_text
from pipeline.parameters.entry_points import Main, Sweep
from pipeline.sweeps import trials
from tests.pipeline.in_process import InProcess, Parameters, StepFailed
from tests.runs import ROOT, TINY_TRAINING, Project, draw_heads
from tests.servers import postgresql

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning", "ignore::FutureWarning")
OWN = {**TINY_TRAINING, "epochs": 2}
FILE = {
    "program": "steps/train.py",
    "method": "bayes",
    "metric": {"name": "map_at_r", "goal": "maximize"},
    "parameters": {"drop_rate": {"min": 0.0, "max": 0.5}},
}


def curve(parameters: Parameters, epoch: int) -> dict[str, float]:
    """A training run that is best at a drop rate of 0.2 and needs batches of 8."""
    if int(parameters["batch_size"]) < 8:
        raise StepFailed(f"batch_size={parameters['batch_size']}: too small")
    rate = float(parameters["learning_rate"])
    return {"map_at_r": 0.3 - (float(parameters["drop_rate"]) - 0.2) ** 2 + epoch / 1000, "learning_rate": rate}


@pytest.fixture(scope="session")
def heads(tmp_path_factory) -> Path:
    # enough images of each character for MAP@R of unseen ones
    return draw_heads(tmp_path_factory.mktemp("heads"), characters=8, pictures=8)


def write_file(folder: Path, **changes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sweep.yaml").write_text(yaml.safe_dump({**FILE, **changes}))
    return folder / "sweep.yaml"


def sweeps(client: MlflowClient) -> list[Run]:
    """Newest first."""
    return client.search_runs(["0"], "tags.entry_point = 'sweep'", order_by=["attributes.start_time DESC"])


def steps(client: MlflowClient, step: str) -> list[Run]:
    return client.search_runs(["0"], f"tags.`crystal_eyes.step` = '{step}'")


def artifacts(client: MlflowClient) -> Path:
    return Path(sweeps(client)[0].info.artifact_uri.removeprefix("file://"))


def trials_table(client: MlflowClient) -> pd.DataFrame:
    return pd.read_csv(artifacts(client) / "trials.csv")


def as_arguments(parameters: dict) -> list[str]:
    return [text for name, value in parameters.items() for text in (f"--{name}", str(value))]


class Here:
    """Sweeps in this process, with their own store and cache."""

    def __init__(self, state: Path, patch: pytest.MonkeyPatch):
        (state / "cache").mkdir(parents=True)
        self.project = Project.on(ROOT, state)
        patch.setenv("CRYSTAL_EYES_CACHE", str(state / "cache"))
        patch.setattr(trials, "POLL", 0.01)
        patch.setattr(entry_point, "POLL", 0.01)
        self.steps = InProcess(curve)
        patch.setattr(mlflow.projects, "run", self.steps)
        self.client = self.project.client

    @contextmanager
    def store(self) -> Iterator[None]:
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(self.project.tracking_uri)
        try:
            yield
        finally:
            mlflow.set_tracking_uri(before)

    def sweep(self, parameters: dict) -> Run:
        sweep = Sweep.parse(as_arguments(parameters))
        with self.store():
            with mlflow.start_run(experiment_id="0") as run:
                entry_point.begin(sweep)
                entry_point.run_sweep(sweep, run)
            return self.client.get_run(run.info.run_id)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Here:
    return Here(tmp_path / "state", monkeypatch)


@pytest.fixture(scope="module")
def swept(heads, tmp_path_factory):
    """(where, parameters, run) of a finished sweep."""
    with pytest.MonkeyPatch.context() as patch:
        where = Here(tmp_path_factory.mktemp("swept") / "state", patch)
        config = write_file(tmp_path_factory.mktemp("file"), early_terminate={"type": "hyperband", "min_iter": 2, "eta": 2})
        parameters = {**OWN, "dataset": heads, "config": config, "trials": 4, "seeds": 2}
        yield where, parameters, where.sweep(parameters)


def test_a_sweep_leaves_trials_parameters_plots_and_a_comparison(swept):
    where, _, run = swept
    table = trials_table(where.client)
    # none is stopped after its last epoch, though that is when they are compared
    assert table["state"].tolist() == ["complete"] * 4 and table["drop_rate"].between(0, 0.5).all()
    assert table["drop_rate"][0] == 0.0  # the default is tried too
    children = {child.info.run_id: child for child in steps(where.client, "train")}
    for _, row in table.iterrows():
        child = children[row["run"]]
        assert child.data.tags["mlflow.parentRunId"] == run.info.run_id
        assert child.info.run_name.startswith(f"trial {row['trial']}: drop_rate=")
        assert float(child.data.params["drop_rate"]) == row["drop_rate"]
        history = where.client.get_metric_history(row["run"], "map_at_r")
        assert row["map_at_r"] == max(point.value for point in history) and row["epochs"] == len(history) == 2
    best = json.loads((artifacts(where.client) / "best_parameters.json").read_text())
    assert best == {"drop_rate": table.loc[table["map_at_r"].idxmax(), "drop_rate"]}
    assert run.data.metrics["best_map_at_r"] == table["map_at_r"].max()
    plots = {path.stem for path in (artifacts(where.client) / "plots").iterdir()}
    assert plots >= {"optimization_history", "parallel_coordinate", "slice"}
    for path in (artifacts(where.client) / "plots").iterdir():
        assert Image.open(path).width > 400
    compared = (artifacts(where.client) / "compared.txt").read_text()
    assert compared.strip() in run.data.tags["mlflow.note.content"]
    assert "2 seeds: defaults" in compared and "test_gain" in run.data.metrics


def test_a_finished_sweep_is_not_repeated(swept, capsys):
    where, parameters, _ = swept
    count = len(where.steps.started)
    where.sweep(parameters)
    assert "4 of 4 trials are finished" in capsys.readouterr().out and len(where.steps.started) == count


def test_what_a_sweep_finds_flows_into_main(swept):
    where, parameters, run = swept
    found = f"runs:/{run.info.run_id}/best_parameters.json"
    best = json.loads((artifacts(where.client) / "best_parameters.json").read_text())
    asked: dict[str, dict] = {}

    class Asked:
        def __call__(self, step: str, given: dict) -> "Asked":
            asked.setdefault(step, given)
            return self

        def output(self, name: str) -> str:
            return next(given["catalogue"] for step, given in where.steps.started if step == "train")

    def main(**more) -> None:
        mine = {**OWN, "dataset": parameters["dataset"], **more}
        with where.store():
            run_chain(Main.parse(as_arguments(mine)), Asked())

    main(params=found)
    assert asked["train"]["drop_rate"] == best["drop_rate"]
    # as the best trial was: main reuses its training
    mine = {name: as_text(value) for name, value in asked["train"].items() if value != ""}
    assert mine in [given for step, given in where.steps.started]
    with pytest.raises(UserError, match="drop_rate=0.77 is given, but params says"):
        main(params=found, drop_rate=0.77)
    with pytest.raises(UserError, match="cannot be read"):
        main(params=parameters["config"])


def test_ten_failures_in_a_row_stop_a_sweep_with_the_reason(heads, here, tmp_path):
    config = write_file(
        tmp_path, method="random", parameters={"batch_size": {"min": 4, "max": 7}, "drop_rate": {"min": 0.1, "max": 0.2}}
    )
    parameters = {**OWN, "dataset": heads, "config": config, "trials": 30, "jobs": 2, "seeds": 0}
    with pytest.raises(UserError, match="^1[0-3] trials failed in a row; the last one: batch_size"):
        here.sweep({**parameters, "batch_size": 32})
    table = trials_table(here.client)
    assert 10 <= table["failure"].str.startswith("batch_size").sum() < 14


def test_a_failed_trial_and_an_unknown_metric_are_named_and_the_sweep_continues(heads, here, tmp_path):
    grid = {"method": "grid", "parameters": {"batch_size": {"values": [4, 8]}}}
    parameters = {**OWN, "dataset": heads, "seeds": 0}
    run = here.sweep({**parameters, "config": write_file(tmp_path / "a", **grid)})
    table = trials_table(here.client).set_index("batch_size")
    assert table["state"].to_dict() == {4: "fail", 8: "complete"}
    assert "too small" in table["failure"][4] and "best of 2 trials" in run.data.tags["mlflow.note.content"]
    config = write_file(tmp_path / "b", **grid, metric={"name": "accuracy"})
    with pytest.raises(UserError, match="no trial completed"):
        here.sweep({**parameters, "config": config})
    failures = trials_table(here.client).set_index("batch_size")["failure"]
    assert failures[8].startswith("train never logged the metric accuracy; it logs") and "map_at_r" in failures[8]


def test_a_trial_that_is_stopped_early_leaves_no_work_behind(heads, here, tmp_path, capsys):
    config = write_file(
        tmp_path, metric={"name": "learning_rate", "goal": "maximize"},
        parameters={"learning_rate": {"min": 1e-5, "max": 1e-3}},  # the default, which is tried first, is the best
        early_terminate={"type": "hyperband", "min_iter": 1, "eta": 2},
    )  # fmt: skip
    here.steps.seconds = 0.05
    here.sweep({**OWN, "epochs": 60, "dataset": heads, "config": config, "trials": 2, "seeds": 0})
    output = capsys.readouterr().out
    assert "trial 1: stopped early, because other trials were better" in output
    table = trials_table(here.client).set_index("state")
    assert sorted(table.index) == ["complete", "pruned"] and table["epochs"]["pruned"] < 60
    assert here.client.get_run(table["run"]["pruned"]).info.status == "KILLED"
    assert list((cache_home() / "work").iterdir()) == []
    used = output.strip().splitlines()[-1]
    assert used.startswith("To use it:") and f"-P dataset={heads} " in used and "-P epochs=60" in used


def test_a_metric_that_is_nan_is_named_though_trials_are_stopped_early(heads, here, tmp_path):
    config = write_file(tmp_path, early_terminate={"type": "hyperband", "min_iter": 1, "eta": 2})
    here.steps.curve, here.steps.seconds = (lambda parameters, epoch: {"map_at_r": math.nan}), 0.02
    with pytest.raises(UserError, match="no trial completed"):
        here.sweep({**OWN, "epochs": 8, "dataset": heads, "config": config, "trials": 2, "seeds": 0})
    table = trials_table(here.client)
    assert table["state"].tolist() == ["fail", "fail"]
    assert table["failure"].tolist() == ["metric map_at_r was NaN in all 8 epochs"] * 2


def test_contradictory_values_of_file_and_command_line_are_refused(heads, here, tmp_path):
    config = write_file(tmp_path, parameters={**FILE["parameters"], "epochs": {"value": 9}})
    with pytest.raises(UserError, match="epochs=2 is given, but .* says 9"):
        here.sweep({**OWN, "dataset": heads, "config": config})


def test_a_missing_file_is_named(here, tmp_path):
    with pytest.raises(UserError, match=r"none.yaml can't be read \(No such file or directory\)"):
        here.sweep({"config": tmp_path / "none.yaml"})


def test_an_interrupted_sweep_retries_the_trial_that_was_running(heads, tmp_path):
    """With real processes and training runs."""
    (tmp_path / "state" / "cache").mkdir(parents=True)
    project = Project.on(ROOT, tmp_path / "state")
    parameters = {**OWN, "epochs": 3, "dataset": heads, "config": write_file(tmp_path), "trials": 1, "seeds": 0}
    process, seen = project.start("sweep", parameters), []
    for line in process.stdout:
        seen.append(line)
        if line.startswith("epoch 1/3: loss"):
            break
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted; finished work is kept" in rest
    interrupted = next(line for line in seen if line.startswith("trial 0:"))
    output = project.run("sweep", parameters)
    assert "0 of 1 trials are finished" in output
    again = next(line for line in output.splitlines() if line.startswith("trial 1:"))
    assert again.split(": ")[1].strip() == interrupted.split(": ")[1].strip()  # the same parameters
    assert "epoch 1/3: 1/1" not in output.split("trial 1:")[1]  # its first epoch is not trained again
    table = trials_table(project.client)
    assert table["state"].tolist() == ["fail", "complete"]
    newest, killed = sweeps(project.client)
    assert killed.info.status == "FAILED"
    below = project.client.search_runs(["0"], f"tags.`mlflow.parentRunId` = '{newest.info.run_id}'")
    assert {run.info.run_id for run in below} >= set(table["run"].dropna())  # all trials of the sweep in one place


@pytest.fixture
def postgres():
    """The address of a PostgreSQL server that runs for this test, on its own socket."""
    with postgresql() as server:
        yield server.socket_address


# one machine: a process with a store, a cache and a working folder of its own, whose trainings take no time
MACHINE = """
import sys, pytest
from pathlib import Path
from tests.pipeline.sweeps.test_sweep import Here
state, *arguments = sys.argv[1:]
with pytest.MonkeyPatch.context() as patch:
    where = Here(Path(state), patch)
    where.steps.seconds = 0.3
    where.sweep(dict(zip(arguments[::2], arguments[1::2])))
"""


def test_two_machines_join_a_sweep_through_postgresql(heads, here, tmp_path, postgres):
    parameters = {**OWN, "dataset": heads, "config": write_file(tmp_path), "trials": 4, "seeds": 0, "storage": postgres}
    arguments = [str(part) for pair in parameters.items() for part in pair]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    machines = [
        subprocess.Popen([sys.executable, "-c", MACHINE, str(tmp_path / name), *arguments], env=environment, cwd=ROOT,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for name in ("a", "b")
    ]  # fmt: skip
    outputs = [machine.communicate(timeout=120)[0] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], outputs
    done = [sum(line.startswith("trial ") and "map_at_r" in line for line in output.splitlines()) for output in outputs]
    assert 4 <= sum(done) <= 5  # both may begin the last one at once
    for name in ("a", "b"):
        table = trials_table(MlflowClient(f"sqlite:///{tmp_path / name}/mlflow.db"))
        ended = table[table["state"] == "complete"]
        assert len(ended) >= 3 and ended["drop_rate"].is_unique
    with pytest.raises(UserError, match="put the password into ~/.pgpass or PGPASSWORD") as raised:
        here.sweep({**parameters, "storage": postgres.replace("eyes@", "eyes:secret@")})
    assert "secret" not in str(raised.value)
