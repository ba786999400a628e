"""compare_runs.ipynb, executed on a real run of main and on an empty store."""

import re

import nbformat
import pytest
from mlflow import MlflowClient
from nbclient.exceptions import CellExecutionError

from tests.pipeline.notebooks.execution import NOTEBOOKS, execute, outputs, texts

NAME = "compare_runs.ipynb"


def test_shows_the_newest_finished_main(tiny_main, monkeypatch):
    notebook = execute(NAME, monkeypatch, tiny_main.tracking_uri)
    text = texts(notebook)

    client = MlflowClient(tiny_main.tracking_uri)
    mains = [
        r for r in client.search_runs([tiny_main.experiment_id], "tags.entry_point = 'main'") if r.info.status == "FINISHED"
    ]
    newest = max(mains, key=lambda run: run.info.end_time)
    assert re.search("run ([0-9a-f]{32})", text).group(1) == newest.info.run_id

    for column in ("perceptron", "faiss", "top_5_unseen", "seen_by_encoder"):
        assert column in text
    pictures = [o for o in outputs(notebook) if "image/png" in o.get("data", {})]
    confused = "No picture was given a wrong name" not in text
    assert len(pictures) == 2 + confused
    assert ("taken_for" in text) == confused
    assert not [o for o in outputs(notebook) if o.output_type == "error" or o.get("name") == "stderr"]


def test_says_in_one_line_that_there_is_no_main(tmp_path, monkeypatch):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with pytest.raises(CellExecutionError, match="No finished run of main in .*: run `make main` first") as error:
        execute(NAME, monkeypatch, uri)
    assert "Traceback" not in error.value.traceback


def test_is_stored_without_outputs():
    notebook = nbformat.read(NOTEBOOKS / NAME, as_version=4)
    assert not outputs(notebook)
    assert not [cell for cell in notebook.cells if cell.get("execution_count")]
