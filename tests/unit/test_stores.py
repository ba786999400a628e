"""Tracking stores that are down, moved or gone, as `crystal-eyes` meets them."""

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from boto3.exceptions import S3UploadFailedError
from sqlalchemy import exc

from crystal_eyes import stores
from crystal_eyes.errors import UserError
from crystal_eyes.stores import UnreachableError, masked, require_store, unusable
from tests.runs import ROOT

PROXIES = [name for name in os.environ if name.lower().endswith("_proxy")]


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    require_store.cache_clear()
    for name in PROXIES:
        monkeypatch.delenv(name)


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """It accepts connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def refusing_server() -> Iterator[str]:
    class Refuse(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(401)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refuse) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def recognize(folder: Path, bundle: str, uri: str) -> tuple[float, subprocess.CompletedProcess[str]]:
    environment = {name: value for name, value in os.environ.items() if name not in PROXIES and not name.startswith("MLFLOW_")}
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "crystal_eyes.cli", "recognize", "--bundle", bundle, "a.png"],
        cwd=folder, env=environment | {"PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": uri}, capture_output=True, text=True,
    )  # fmt: skip
    return time.monotonic() - start, done


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["closed", "silent"])
def test_a_dead_server_is_one_line_within_seconds(tmp_path, closed_port, silent_port, kind):
    (tmp_path / "a.png").touch()
    port = closed_port if kind == "closed" else silent_port
    seconds, done = recognize(tmp_path, "models:/crystal-eyes@champion", f"http://me:secret@127.0.0.1:{port}")
    assert done.returncode == 1 and done.stdout == ""
    why = r"can't be reached \(Connection refused\)" if kind == "closed" else "does not answer within 5 seconds"
    line = rf"crystal-eyes: the MLflow server http://127.0.0.1:{port} {why}: start it, or set MLFLOW_TRACKING_URI .*\n"
    assert re.fullmatch(line, done.stderr), done.stderr
    assert seconds < 25  # of which importing mlflow takes a few on a busy machine


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:{}", "https://127.0.0.1:{}/path/", "postgresql+psycopg2://u:p@127.0.0.1:{}/x"]
)
def test_a_closed_port_is_known_at_once(closed_port, uri):
    start = time.monotonic()
    with pytest.raises(UnreachableError, match="Connection refused") as caught:
        require_store(uri.format(closed_port))
    assert time.monotonic() - start < 2 and "u:p" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_silent_server_is_known_after_the_limit(silent_port, monkeypatch, scheme):
    monkeypatch.setattr(stores, "SECONDS", 0.3)
    start = time.monotonic()
    with pytest.raises(UnreachableError, match="does not answer within 0.3 seconds"):
        require_store(f"{scheme}://127.0.0.1:{silent_port}")
    assert time.monotonic() - start < 3


def test_the_users_own_longer_limit_counts(silent_port, monkeypatch):
    monkeypatch.setattr(stores, "SECONDS", 0.1)
    monkeypatch.setattr(stores, "CHOSEN", "0.4")
    with pytest.raises(UnreachableError, match="within 0.4 seconds"):
        require_store(f"http://127.0.0.1:{silent_port}")


def test_a_server_that_wants_a_login_is_not_down(refusing_server):
    require_store(refusing_server)


def test_stores_without_a_server_are_looked_for(tmp_path):
    for uri in (f"sqlite:///{tmp_path}/mlflow.db", f"file://{tmp_path}/mlruns", f"{tmp_path}/mlruns"):
        with pytest.raises(UnreachableError, match=f"there is no {tmp_path}"):
            require_store(uri)
    (tmp_path / "mlflow.db").touch()
    require_store(f"sqlite:///{tmp_path}/mlflow.db")
    require_store("databricks")
    require_store("sqlite://")  # in memory


def test_mlflows_own_address_of_a_store_in_a_folder_with_spaces_is_understood(tmp_path):
    from mlflow.utils.file_utils import path_to_local_sqlite_uri  # of the default store in the current folder

    folder = tmp_path / "my pictures ☆ 100%"
    folder.mkdir()
    uri = path_to_local_sqlite_uri(str(folder / "mlflow.db"))
    assert "my%20pictures" in uri
    with pytest.raises(UnreachableError, match="there is no .*/my pictures ☆ 100%/mlflow.db"):
        require_store(uri)
    (folder / "mlflow.db").touch()
    require_store(uri)


def test_only_what_the_user_did_not_choose_is_limited(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "9")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    stores.limit_patience()
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "9" and os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "15"
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT")


@pytest.fixture
def store(tmp_path, monkeypatch) -> Iterator[tuple[Path, str]]:
    """A store in a folder with an odd name, and a run whose artifact is a folder `bundle` without a bundle."""
    import mlflow

    from crystal_eyes import artifacts

    folder, before = tmp_path / "my störe #1", mlflow.get_tracking_uri()
    folder.mkdir()
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "file.txt").write_text("text")
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    number = mlflow.create_experiment("x", artifact_location=(folder / "mlruns").as_uri())
    with mlflow.start_run(experiment_id=number) as run:
        mlflow.log_artifacts(str(tmp_path / "made"), "bundle")
    artifacts._run_uri.cache_clear()
    yield folder, run.info.run_id
    mlflow.set_tracking_uri(before)
    artifacts._run_uri.cache_clear()


def test_what_is_missing_in_a_store_is_named(store):
    from crystal_eyes.artifacts import local_path
    from crystal_eyes.recognizer.recognizer import bundle_folder

    folder, run = store
    assert (local_path(f"runs:/{run}/bundle") / "file.txt").read_text() == "text"
    with pytest.raises(UserError, match=f"runs:/{run}/other has no artifact other"):
        local_path(f"runs:/{run}/other")
    with pytest.raises(UserError, match=f"runs:/{run}/bundle is not a bundle: it contains no bundle.json"):
        bundle_folder(f"runs:/{run}/bundle")
    with pytest.raises(UserError, match="runs:/0123/bundle can't be fetched"):
        local_path("runs:/0123/bundle")


def test_a_moved_store_names_the_missing_path_and_what_to_do(store, tmp_path):
    import mlflow

    from crystal_eyes.artifacts import local_path

    folder, run = store
    folder.rename(tmp_path / "moved")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/moved/mlflow.db")
    with pytest.raises(UserError) as caught:
        local_path(f"runs:/{run}/bundle")
    text = str(caught.value)
    assert f"is stored in {folder}/mlruns/{run}/artifacts/bundle, of which only {tmp_path} exists" in text
    assert "move the files back or link them there, or give the folder itself" in text and "\n" not in text
    folder.symlink_to(tmp_path / "moved")  # the remedy works
    assert local_path(f"runs:/{run}/bundle").is_dir()


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me:s3cret@host/runs",
        "postgresql+psycopg://me:s3cret@[::1]:5432/runs?sslmode=require",
        "postgresql://:s3cret@host/runs",
        "http://me:s3cret@host:5000: it is down",
        "postgresql:///runs?host=/run&user=me&password=s3cret",
        "postgresql:///runs?sslpassword=s3cret&host=/run",
        "postgresql://me:s3c@s3cret@host/runs",
        "(postgresql://me:s3c/s3cret@host) failed",
    ],
)
def test_passwords_of_addresses_are_not_shown(text):
    assert "s3c" not in masked(text) and "***" in masked(text)
    assert masked(masked(text)) == masked(text)


def test_text_without_a_password_is_shown_as_it_is():
    for text in (
        "postgresql://me@host:5432/runs",
        "http://host:5000/#/runs",
        "sqlite:///mlflow.db",
        "models:/crystal-eyes@champion",
    ):
        assert masked(text) == text


def test_errors_of_stores_are_told_from_bugs():
    class Driver(Exception):
        pass

    lost = exc.OperationalError("SELECT 1", {}, Driver("connection failed: server closed the connection\nmore"))
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = lost
    assert unusable(wrapped) == unusable(lost) and "refused (server closed the connection): start it" in str(unusable(lost))
    assert "can't be used: the storage does not do what was asked (full)" in str(unusable(S3UploadFailedError("full")))
    assert "needs the package boto3" in str(unusable(ModuleNotFoundError("no boto3", name="boto3")))
    bugs = exc.IntegrityError("INSERT", {}, Driver("duplicate key")), ModuleNotFoundError("no x", name="x"), KeyError("x"), None
    assert [unusable(bug) for bug in bugs] == [None] * 4
