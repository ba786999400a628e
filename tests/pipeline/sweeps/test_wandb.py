"""What W&B's agent starts, and that its run and MLflow's name each other, offline."""

import subprocess

import pytest
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from tests import wandb_file
from tests.runs import ROOT, TINY_TRAINING

ARGUMENTS = {**TINY_TRAINING, "epochs": 2, "drop_rate": 0.25, "drop_connect_rate": 0.1}


def agents_command(arguments: dict) -> list[str]:
    """The command line that `wandb agent` makes of the file, in W&B's own words."""
    said = yaml.safe_load((ROOT / "sweeps" / "drop_rates.yaml").read_text())
    variables = create_sweep_command_args({"args": {name: {"value": value} for name, value in arguments.items()}})
    variables |= {"env": ["/usr/bin/env"], "interpreter": ["python"], "program": [said["program"]]}
    found = []
    for part in create_sweep_command(said["command"]):
        found += variables[part[2:-1]] if part.startswith("${") and part.endswith("}") else [part]
    return found


@pytest.fixture(scope="module")
def trial(tiny_main, tmp_path_factory):
    """(MLflow run, records of W&B's offline run, folder of it) of a trial that was started as the agent starts it."""
    (prepare,) = tiny_main.project.runs("prepare")
    folder = tmp_path_factory.mktemp("wandb")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRYSTAL_EYES_CATALOGUE", f"runs:/{prepare.info.run_id}/catalogue")
        command = agents_command(ARGUMENTS)
    assert "--drop_rate=0.25" in command and f"--catalogue=runs:/{prepare.info.run_id}/catalogue" in command
    environment = {**tiny_main.project.environment, "WANDB_MODE": "offline", "WANDB_DIR": str(folder),
                   "WANDB_RUN_ID": "abcd1234", "WANDB_X_STATS_SAMPLING_INTERVAL": "0.5"}  # fmt: skip
    done = subprocess.run(command, cwd=tiny_main.project.folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = [run for run in tiny_main.project.runs("train") if run.data.tags.get("wandb_run_id") == "abcd1234"]
    (home,) = (folder / "wandb").glob("offline-run-*")
    (path,) = home.glob("*.wandb")
    return run, wandb_file.records(path), home


def test_both_runs_name_each_other(trial):
    run, records, home = trial
    assert run.data.tags["wandb_run_id"] == "abcd1234" and home.name.endswith("abcd1234")
    assert wandb_file.config(records)["mlflow_run_id"] == run.info.run_id


def test_the_offline_run_holds_config_epochs_system_metrics_pictures_and_its_end(trial):
    run, records, home = trial
    said = wandb_file.config(records)
    assert said["drop_rate"] == 0.25 and said["drop_connect_rate"] == 0.1 and said["backbone"] == TINY_TRAINING["backbone"]
    rows = wandb_file.history(records)
    epochs = [row for row in rows if "map_at_r" in row]
    assert [row["_step"] for row in epochs] == [1, 2] and epochs[1]["loss"] == pytest.approx(run.data.metrics["loss"])
    (shown,) = [row for row in rows if "views.path" in row]
    assert (home / "files" / shown["views.path"]).stat().st_size == shown["views.size"]
    ended = wandb_file.summary(records)
    assert ended["map_at_r"] == max(row["map_at_r"] for row in epochs)  # what W&B compares: the epoch that was kept
    assert any(record.HasField("stats") for record in records)
    assert any(record.HasField("exit") and record.exit.exit_code == 0 for record in records)
