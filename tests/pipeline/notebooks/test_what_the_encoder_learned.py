"""what_the_encoder_learned.ipynb, executed on a real main and on an empty store."""

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from tests.pipeline.notebooks.execution import NOTEBOOKS, execute, outputs, texts

NAME = "what_the_encoder_learned.ipynb"


def test_walks_through_a_finished_main(tiny_main, monkeypatch):
    notebook = execute(NAME, monkeypatch, tiny_main.tracking_uri)
    text = texts(notebook)
    assert "heads of 8 characters" in text and "by chance" in text
    assert all(kind in text for kind in ("color", "gray", "lines"))
    # neighbors, map, look-alikes, calibration, sketches (or that none failed)
    pictures = [o for o in outputs(notebook) if "image/png" in o.get("data", {})]
    assert len(pictures) == 5 - ("No sketch failed" in text)
    assert not [o for o in outputs(notebook) if o.output_type == "error" or o.get("name") == "stderr"]


def test_says_in_one_line_that_there_is_no_main(tmp_path, monkeypatch):
    with pytest.raises(CellExecutionError, match="No finished main in .*: run `make main` first") as error:
        execute(NAME, monkeypatch, f"sqlite:///{tmp_path}/mlflow.db")
    assert "Traceback" not in error.value.traceback


def test_is_stored_without_outputs():
    notebook = nbformat.read(NOTEBOOKS / NAME, as_version=4)
    assert not outputs(notebook)
    assert not [cell for cell in notebook.cells if cell.get("execution_count")]
