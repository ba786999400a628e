"""A team's store: PostgreSQL and artifacts in S3, shared by machines with a cache folder of their own each."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import boto3
import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.store.artifact.s3_artifact_repo import _cached_get_s3_client
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from crystal_eyes.artifacts import local_path
from crystal_eyes.stores import require_store
from tests.runs import ROOT, Project, draw_heads, tracking_store
from tests.servers import PASSWORD, S3, SECRET, PostgreSQL, postgresql, s3

BUCKET = "crystal-eyes"


@dataclass
class Team:
    database: PostgreSQL
    s3: S3

    def machine(self, state: Path, uri: str = "", **environment: str) -> Project:
        """A machine of the team; its cache folder is in `state`, which is created."""
        state.mkdir(exist_ok=True)
        _cached_get_s3_client.cache_clear()
        boto3.DEFAULT_SESSION = None  # it keeps the credentials that it has found first
        require_store.cache_clear()
        own = {
            "MLFLOW_TRACKING_URI": uri or self.database.socket_address,
            "CRYSTAL_EYES_CACHE": str(state / "cache"),
            "PATH": str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "AWS_", "PG"))}
        return Project(ROOT, state, {**inherited, **self.s3.environment, **own, **environment})

    @property
    def bucket(self) -> Path:
        return self.s3.folder / BUCKET


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    folder = tmp_path_factory.mktemp("s3")
    (folder / BUCKET).mkdir()
    with postgresql() as database, s3(folder) as store:
        SqlAlchemyStore(database.socket_address, f"s3://{BUCKET}/artifacts")  # creates the tables and the experiment
        yield Team(database, store)


@pytest.fixture(scope="module")
def heads(tmp_path_factory) -> Path:
    return draw_heads(tmp_path_factory.mktemp("team") / "heads")


def python(machine: Project, code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-u", "-c", code, *map(str, arguments)]
    return subprocess.Popen(
        command, env=machine.environment, cwd=machine.state, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


GET = """
import sys
from crystal_eyes.artifacts import local_path
from pipeline.cache.digests import digest_path
from pipeline.get_or_run import _get_or_run
run = _get_or_run("prepare", {"dataset": sys.argv[1]})
print(run.info.run_id, digest_path(local_path(f"runs:/{run.info.run_id}/catalogue")))
"""


def test_two_machines_at_once_run_a_step_once_and_share_its_outputs(team, heads, tmp_path):
    address = team.database.address(PASSWORD)  # a password in the address: it must not be shown or stored anywhere
    machines = [python(team.machine(tmp_path / name, address), GET, heads) for name in ("a", "b")]
    outputs = [machine.communicate(timeout=900)[0] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], outputs
    assert sorted("prepare: running" in output for output in outputs) == [False, True], outputs
    assert sorted("prepare: reused run" in output for output in outputs) == [False, True], outputs
    assert outputs[0].splitlines()[-1] == outputs[1].splitlines()[-1]
    assert any(team.bucket.rglob("catalogue/*"))
    dump = subprocess.run(
        [team.database.programs / "pg_dump", team.database.socket_address], stdout=subprocess.PIPE, check=True, text=True
    ).stdout
    assert "crystal_eyes.key" in dump
    for secret in (PASSWORD, SECRET):
        assert secret not in dump and not any(secret in output for output in outputs)


def test_equal_names_of_different_runs_are_fetched_apart(team, tmp_path):
    """As with the outputs of classify, all of which are called classifier."""
    runs = []
    with team.machine(tmp_path).entered("prepare", {}), tracking_store(team.database.socket_address):
        for text in ("one", "two"):
            with mlflow.start_run() as run:
                mlflow.log_text(text, "classifier/weights.txt")
                mlflow.log_text(text, f"classifier/{text}.txt")
            runs.append(run.info.run_id)
        folders = [local_path(f"runs:/{run}/classifier") for run in runs]
    assert [(folder / "weights.txt").read_text() for folder in folders] == ["one", "two"]
    assert [len(list(folder.iterdir())) for folder in folders] == [2, 2]


HOLD = """
import sys, time
from pipeline.cache.locks import database_lock
with database_lock("a step", "waiting", sys.argv[1]):
    print("holding")
    time.sleep(float(sys.argv[2]))
"""


def test_a_killed_holder_releases_its_lock(team, tmp_path):
    machine, address = team.machine(tmp_path), team.database.socket_address
    first = python(machine, HOLD, address, 600)
    assert first.stdout.readline() == "holding\n"
    second = python(machine, HOLD, address, 0)
    assert second.stdout.readline() == "waiting\n"
    first.send_signal(signal.SIGKILL)
    assert second.communicate(timeout=300)[0] == "holding\n"
    first.communicate()
    third = python(machine, HOLD, address, 600)
    assert third.stdout.readline() == "holding\n"
    fourth = python(machine, HOLD, address, 0)
    assert fourth.stdout.readline() == "waiting\n"
    fourth.send_signal(signal.SIGINT)  # one that waits can be interrupted
    fourth.communicate(timeout=300)
    assert fourth.returncode != 0
    third.kill()
    third.communicate()


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("postgresql://eyes:wrong-3X@127.0.0.1:{port}/postgres", "password authentication failed for user"),
        ("postgresql://eyes@127.0.0.1:{port}/postgres", "no password supplied"),
        ("postgresql://eyes:wrong-3X@127.0.0.1:1/postgres", "Connection refused"),
        ("postgresql://eyes@/nobody?host={folder}&port={port}&password=wrong-3X", 'database "nobody" does not exist'),
        ("postgresql+psycopg2://eyes:wrong-3X@127.0.0.1:{port}/postgres", "needs the package psycopg2"),
    ],
)
def test_a_database_that_refuses_is_one_line_at_once(team, tmp_path, address, reason):
    address = address.format(port=team.database.port, folder=team.database.folder)
    start = time.monotonic()
    output = team.machine(tmp_path, address).call("prepare", {}, code=1)
    assert output.startswith("prepare: the database ") and len(output.splitlines()) == 1 and reason in output
    assert "wrong-3X" not in output
    assert time.monotonic() - start < 90  # on a busy machine; MLflow alone takes 100 s


def test_without_bucket_or_credentials_nothing_is_computed(team, heads, tmp_path):
    given = {"dataset": heads}
    moved = team.bucket.rename(team.s3.folder / "moved")
    output = team.machine(tmp_path).call("prepare", given, code=1)
    line = "prepare: the artifact store can't be used: the bucket does not exist"
    assert output.splitlines()[-1].startswith(line) and f"s3://{BUCKET}/artifacts/0/" in output and "Traceback" not in output
    moved.rename(team.bucket)
    output = team.machine(tmp_path, AWS_SECRET_ACCESS_KEY="wrong-3X").call("prepare", given, code=1)
    assert "does not accept the credentials: correct AWS_ACCESS_KEY_ID" in output.splitlines()[-1] and "wrong-3X" not in output
    output = team.machine(tmp_path, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="").call("prepare", given, code=1)
    assert "there are no credentials in" in output.splitlines()[-1] and "Traceback" not in output
    assert not (tmp_path / "cache" / "work").exists()


def test_a_bucket_or_database_lost_in_the_middle_is_one_line_and_running_again_goes_on(team, heads, tmp_path):
    given = {"dataset": heads, "seed": 7}
    machine = team.machine(tmp_path)

    def lose(take: Callable[[], object]) -> str:
        process = machine.start("prepare", given)
        assert process.stdout.readline().startswith("check pictures")  # the run has begun, nothing is stored yet
        process.send_signal(signal.SIGSTOP)
        take()
        time.sleep(1.5)  # the S3 server looks for its buckets once a second
        process.send_signal(signal.SIGCONT)
        output, _ = process.communicate(timeout=900)
        assert process.returncode == 1 and "Traceback" not in output, output
        return output.splitlines()[-1]

    line = lose(lambda: team.bucket.rename(team.s3.folder / "moved"))
    (team.s3.folder / "moved").rename(team.bucket)
    assert line.startswith("prepare: the artifact store can't be used: the bucket") and line.endswith("finished work is kept")
    line = lose(lambda: team.database.stop("immediate"))
    team.database.start()
    assert line.startswith("prepare: the database ") and line.endswith("finished work is kept")
    machine.run("prepare", given)
    client = MlflowClient(team.database.socket_address)
    (run,) = client.search_runs(["0"], "tags.`crystal_eyes.step` = 'prepare' and params.seed = '7'")
    assert run.info.status == "FINISHED"
