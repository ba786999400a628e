"""The entry point sweep, with real trainings of a tiny network, real interruptions and a real PostgreSQL."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
import yaml
from mlflow.entities import Run
from PIL import Image

from tests.runs import ROOT, TINY_TRAINING, Project, draw_heads

OWN = {**TINY_TRAINING, "epochs": 2}
FILE = {
    "program": "steps/train.py",
    "method": "bayes",
    "metric": {"name": "map_at_r", "goal": "maximize"},
    "parameters": {"drop_rate": {"min": 0.0, "max": 0.5}},
}
POSTGRES = next(Path("/usr/lib/postgresql").glob("*/bin/initdb"), None) or shutil.which("initdb")


@pytest.fixture(scope="module")
def heads(tmp_path_factory) -> Path:
    # enough pictures a character for MAP@R of unseen ones
    return draw_heads(tmp_path_factory.mktemp("heads"), characters=8, pictures=8)


def begin(state: Path) -> Project:
    (state / "cache").mkdir(parents=True)
    return Project.on(ROOT, state)


def written(folder: Path, **changes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sweep.yaml").write_text(yaml.safe_dump({**FILE, **changes}))
    return folder / "sweep.yaml"


def sweeps(project: Project) -> list[Run]:
    """Newest first."""
    return project.client.search_runs(["0"], "tags.`mlflow.runName` = 'sweep'", order_by=["attributes.start_time DESC"])


def artifacts(project: Project) -> Path:
    return Path(sweeps(project)[0].info.artifact_uri.removeprefix("file://"))


@pytest.fixture(scope="module")
def swept(heads, tmp_path_factory):
    """(project, parameters, output) of a finished sweep."""
    project = begin(tmp_path_factory.mktemp("swept"))
    config = written(tmp_path_factory.mktemp("file"), early_terminate={"type": "hyperband", "min_iter": 2, "eta": 2})
    parameters = {**OWN, "dataset": heads, "config": config, "trials": 3, "seeds": 2}
    return project, parameters, project.run("sweep", parameters)


def test_a_sweep_leaves_trials_parameters_plots_and_an_honest_comparison(swept):
    project, _, output = swept
    (run,) = sweeps(project)
    table = pd.read_csv(artifacts(project) / "trials.csv")
    # none is stopped after its last epoch, though that is when they are compared
    assert table["state"].tolist() == ["complete"] * 3 and table["drop_rate"].between(0, 0.5).all()
    assert table["drop_rate"][0] == 0.0  # the default is tried too
    children = {child.info.run_id: child for child in project.runs("train")}
    for _, row in table.iterrows():
        child = children[row["run"]]
        assert child.data.tags["mlflow.parentRunId"] == run.info.run_id
        assert float(child.data.params["drop_rate"]) == row["drop_rate"]
        history = project.client.get_metric_history(row["run"], "map_at_r")
        assert row["map_at_r"] == max(point.value for point in history) and row["epochs"] == len(history) == 2
    best = json.loads((artifacts(project) / "best_parameters.json").read_text())
    assert best == {"drop_rate": table.loc[table["map_at_r"].idxmax(), "drop_rate"]}
    assert run.data.metrics["best_map_at_r"] == table["map_at_r"].max()
    plots = {path.stem for path in (artifacts(project) / "plots").iterdir()}
    assert plots >= {"optimization_history", "parallel_coordinate", "slice"}
    for path in (artifacts(project) / "plots").iterdir():
        assert Image.open(path).width > 400
    said = (artifacts(project) / "compared.txt").read_text()
    assert said.strip() in output and said.strip() in run.data.tags["mlflow.note.content"]
    assert "2 seeds: defaults" in said and "test_gain" in run.data.metrics


def test_a_finished_sweep_costs_nothing_again(swept):
    project, parameters, _ = swept
    count = len(project.runs("train"))
    output = project.run("sweep", parameters)
    assert "3 of 3 trials are done" in output and ": runs" not in output and len(project.runs("train")) == count


def test_what_a_sweep_finds_flows_into_main(swept):
    project, parameters, _ = swept
    found = f"runs:/{sweeps(project)[0].info.run_id}/best_parameters.json"
    mine = {**OWN, "dataset": parameters["dataset"]}
    plan = project.plan({**mine, "params": found})
    assert plan["prepare"][0] == plan["train"][0] == "reuse"
    output = project.run("main", {**mine, "params": found, "drop_rate": 0.77, "plan": "true"}, code=1)
    assert "drop_rate=0.77 is given, and params says" in output
    output = project.run("main", {**mine, "params": parameters["config"], "plan": "true"}, code=1)
    assert "can't be read" in output


def test_an_interrupted_sweep_tries_the_trial_again_that_it_was_in(heads, tmp_path):
    project = begin(tmp_path / "state")
    parameters = {**OWN, "epochs": 3, "dataset": heads, "config": written(tmp_path), "trials": 2, "seeds": 0}
    process, seen = project.start("sweep", parameters), []
    for line in process.stdout:
        seen.append(line)
        if line.startswith("epoch 1/3: loss") and any(said.startswith("trial 1:") for said in seen):
            break
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted: run the same command again" in rest
    broken = next(line for line in seen if line.startswith("trial 1:"))
    output = project.run("sweep", parameters)
    assert "1 of 2 trials are done" in output
    again = next(line for line in output.splitlines() if line.startswith("trial 2:"))
    assert again.split(": ")[1].strip() == broken.split(": ")[1].strip()  # the same parameters
    assert "epoch 1/3: 1/1" not in output.split("trial 2:")[1]  # its first epoch is not trained anew
    table = pd.read_csv(artifacts(project) / "trials.csv")
    assert table["state"].tolist() == ["complete", "fail", "complete"]
    newest, killed = sweeps(project)
    assert killed.info.status == "FAILED"
    below = project.client.search_runs(["0"], f"tags.`mlflow.parentRunId` = '{newest.info.run_id}'")
    assert {run.info.run_id for run in below} >= set(table["run"])  # all trials of the sweep in one place


def test_ten_failures_in_a_row_stop_a_sweep_with_the_reason(heads, tmp_path):
    project = begin(tmp_path / "state")
    # 4 to 7 pictures hold fewer than two characters of 4 pictures
    config = written(
        tmp_path, method="random", parameters={"batch_size": {"min": 4, "max": 7}, "drop_rate": {"min": 0.1, "max": 0.2}}
    )
    parameters = {**OWN, "dataset": heads, "config": config, "trials": 30, "jobs": 2, "seeds": 0}
    output = project.run("sweep", {**parameters, "batch_size": 32}, code=1)
    last = output.strip().splitlines()[-1]
    assert last.startswith("sweep: 1") and "trials failed in a row, the last one: batch_size" in last
    assert "trial 9 failed: batch_size" in output and output.count(" failed: ") < 14
    table = pd.read_csv(artifacts(project) / "trials.csv")
    assert table["failure"].str.startswith("batch_size").sum() >= 10


def test_a_crash_and_an_unknown_metric_are_named_and_the_sweep_goes_on(heads, tmp_path):
    project = begin(tmp_path / "state")
    grid = {"method": "grid", "parameters": {"batch_size": {"values": [4, 8]}}}
    parameters = {**OWN, "dataset": heads, "seeds": 0}
    output = project.run("sweep", {**parameters, "config": written(tmp_path / "a", **grid)})
    table = pd.read_csv(artifacts(project) / "trials.csv").set_index("batch_size")
    assert table["state"].to_dict() == {4: "fail", 8: "complete"}
    assert "fewer than 2 characters" in table["failure"][4] and "best of 2 trials" in output
    output = project.run(
        "sweep", {**parameters, "config": written(tmp_path / "b", **grid, metric={"name": "accuracy"})}, code=1
    )
    assert "metric accuracy was never logged by train: it logs" in output and "map_at_r" in output
    assert "no trial reached its end" in output


def test_a_trial_that_is_stopped_early_leaves_no_work_behind(heads, tmp_path):
    project = begin(tmp_path / "state")
    config = written(
        tmp_path, metric={"name": "learning_rate", "goal": "maximize"},
        parameters={"learning_rate": {"min": 1e-5, "max": 1e-3}},  # the default, which is tried first, is the best
        early_terminate={"type": "hyperband", "min_iter": 1, "eta": 2},
    )  # fmt: skip
    parameters = {**OWN, "epochs": 60, "dataset": heads, "config": config, "trials": 2, "seeds": 0}
    output = project.run("sweep", parameters)
    assert "trial 1: stopped early, others were better by then" in output
    table = pd.read_csv(artifacts(project) / "trials.csv").set_index("state")
    assert sorted(table.index) == ["complete", "pruned"] and table["epochs"]["pruned"] < 60
    assert project.client.get_run(table["run"]["pruned"]).info.status == "KILLED"
    assert list((tmp_path / "state" / "cache" / "work").iterdir()) == []
    used = output.strip().splitlines()[-1]
    assert used.startswith("To use it:") and f"-P dataset={heads} " in used and "-P epochs=60" in used


def test_a_metric_that_is_no_number_is_named_though_trials_are_stopped_early(heads, tmp_path):
    project = begin(tmp_path / "state")
    config = written(tmp_path, early_terminate={"type": "hyperband", "min_iter": 1, "eta": 2})
    # one picture of each character that the epochs are judged by: none has a neighbour
    few = {"train_per_character": 1, "test_per_character": 7}
    parameters = {**OWN, **few, "epochs": 8, "dataset": heads, "config": config, "trials": 2, "seeds": 0}
    output = project.run("sweep", parameters, code=1)
    assert "stopped early" not in output and "trial 1 failed: metric map_at_r was no number in any of 8 epochs" in output


def test_what_file_and_command_line_say_differently_is_refused(heads, tmp_path):
    config = written(tmp_path, parameters={**FILE["parameters"], "epochs": {"value": 9}})
    output = begin(tmp_path / "state").run("sweep", {**OWN, "dataset": heads, "config": config}, code=1)
    assert "epochs=2 is given, and" in output and "says 9: leave one out" in output


def test_a_missing_file_is_one_line(tmp_path):
    output = begin(tmp_path / "state").run("sweep", {"config": tmp_path / "none.yaml"}, code=1)
    assert output.strip().splitlines()[-1] == f"sweep: config={tmp_path}/none.yaml can't be read (No such file or directory)"


@pytest.fixture
def postgres():
    """The address of a PostgreSQL server that runs for this test, on a socket of its own."""
    if POSTGRES is None:
        pytest.skip("PostgreSQL is not installed")
    programs = Path(POSTGRES).parent
    folder = Path(tempfile.mkdtemp(prefix="postgres"))
    as_owner = []
    if os.geteuid() == 0:  # it refuses to run as root
        shutil.chown(folder, "postgres", "postgres")
        as_owner = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]

    def run(*command: str) -> None:
        subprocess.run([*as_owner, *command], check=True, cwd=folder, stdout=subprocess.DEVNULL)

    run(str(programs / "initdb"), "-D", str(folder / "data"), "-U", "eyes", "--auth=trust", "-N")
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    run(str(programs / "pg_ctl"), "-D", str(folder / "data"), "-w", "-l", str(folder / "log"), "-o", options, "start")
    yield f"postgresql://eyes@/postgres?host={folder}"
    run(str(programs / "pg_ctl"), "-D", str(folder / "data"), "-m", "fast", "stop")
    shutil.rmtree(folder)


def test_two_machines_join_a_sweep_through_postgresql(heads, tmp_path, postgres):
    parameters = {**OWN, "dataset": heads, "config": written(tmp_path), "trials": 4, "seeds": 0, "storage": postgres}
    machines = [begin(tmp_path / name) for name in ("a", "b")]
    with ThreadPoolExecutor(2) as pool:
        outputs = list(pool.map(lambda project: project.run("sweep", parameters), machines))
    done = [sum(line.startswith("trial ") and "map_at_r" in line for line in output.splitlines()) for output in outputs]
    assert min(done) >= 1 and 4 <= sum(done) <= 5  # both may begin the last one at once
    tables = [pd.read_csv(artifacts(project) / "trials.csv") for project in machines]
    for table in tables:
        ended = table[table["state"] == "complete"]
        assert len(ended) >= 3 and ended["drop_rate"].is_unique
    with_password = postgres.replace("eyes@", "eyes:secret@")
    output = machines[0].run("sweep", {**parameters, "storage": with_password}, code=1)
    assert "secret" not in output and output.strip().endswith("put the password into ~/.pgpass or PGPASSWORD")
