"""Tracking stores that are down or were moved, as the entry points meet them."""

import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from crystal_eyes.stores import require_store
from tests.runs import ROOT, Project, draw_heads


@pytest.fixture
def project(tmp_path) -> Project:
    (tmp_path / "state").mkdir()
    return Project.on(ROOT, tmp_path / "state")


def on_server(project: Project, port: int) -> Project:
    require_store.cache_clear()
    return Project(project.folder, project.state, project.environment | {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"})


@pytest.mark.parametrize("entry_point", ["prepare", "main"])
def test_a_server_that_is_down_is_one_line_at_once(project, entry_point):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    start = time.monotonic()
    output = on_server(project, port).call(entry_point, {}, code=1)
    line = rf"{entry_point}: the MLflow server http://127.0.0.1:{port} can't be reached \(Connection refused\): start it, or .*"
    assert re.fullmatch(line, output.splitlines()[-1]) and "Traceback" not in output
    assert time.monotonic() - start < 5


def test_a_server_that_stops_answering_is_no_bug_of_ours(project, monkeypatch):
    class Healthy(BaseHTTPRequestHandler):
        """It says that it is well, and drops every other request."""

        def do_GET(self) -> None:
            if self.path == "/health":
                self.send_response(200)
                self.end_headers()
            self.close_connection = True

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with ThreadingHTTPServer(("127.0.0.1", 0), Healthy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        output = on_server(project, server.server_address[1]).call("prepare", {}, code=1)
        server.shutdown()
    assert output.splitlines()[-1].startswith("prepare: the MLflow server stopped answering: start it"), output
    assert "Traceback" not in output


def test_a_moved_store_names_where_it_would_write(project, tmp_path):
    project.client.search_experiments()
    moved = (tmp_path / "state").rename(tmp_path / "moved")
    environment = project.environment | {"MLFLOW_TRACKING_URI": f"sqlite:///{moved}/mlflow.db"}
    heads = draw_heads(tmp_path / "heads")
    after = Project(project.folder, moved, environment)
    output = after.call("prepare", {"dataset": heads}, code=1)
    line = (
        f"prepare: new artifacts would be put into {tmp_path}/state/mlruns/0, of which only {tmp_path} exists: MLflow records "
    )
    assert output.splitlines()[-1].startswith(line) and not (tmp_path / "state").exists()
    (tmp_path / "state").symlink_to(moved)  # the remedy works
    after.call("prepare", {"dataset": heads})
