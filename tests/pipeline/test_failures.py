"""Each mistake of a user: one line that names it and the remedy, a non-zero exit, no result recorded."""

import re
import subprocess

import pytest

from tests.runs import ROOT, Project, draw_heads


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return Project.on(ROOT, tmp_path_factory.mktemp("failures"))


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    return draw_heads(tmp_path_factory.mktemp("heads"), characters=1)


@pytest.mark.parametrize(
    ("entry_point", "parameters", "line"),
    [
        ("main", {"epoch": 3}, r"main: unknown parameter epoch: did you mean epochs\?"),
        ("main", {"epochs": "three"}, r"main: parameter epochs=three: give a whole number"),
        ("main", {"epochs": -1}, r"main: parameter epochs=-1: out of range, give from 1 to 10000"),
        ("main", {"cache": "maybe"}, r"main: parameter cache=maybe: choose one of on, off"),
        ("main", {"classifiers": "perceptron,oracle"}, r"main: parameter classifiers=.*: choose one or more of perceptron, .*"),
        ("main", {"dataset": "no/such/folder"}, r"main: no/such/folder does not exist: give an existing path.*"),
        ("train", {}, r"train: parameter catalogue is required: catalogue written by prepare.*"),
        ("train", {"catalogue": "runs:/0123/catalogue"}, r"train: runs:/0123/catalogue can't be fetched \(.*\): .*"),
        (
            "train", {"catalogue": "tests"},
            r"train: tests is not a catalogue: catalogue.parquet is missing. Parameter catalogue takes: catalogue .*",
        ),
        (
            "embed", {"onnx": "README.md", "catalogue": "tests"},
            r"embed: README.md is not a Crystal Eyes encoder .* Parameter onnx takes: ONNX encoder .*",
        ),
        (
            "classify", {"embeddings": "tests", "catalogue": "tests"},
            r"classify: tests contains no embeddings .* Parameter embeddings takes: embeddings written by embed .*",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(project, entry_point, parameters, line):
    output = project.call(entry_point, parameters, code=1)
    assert re.fullmatch(line, output.splitlines()[-1]), output
    assert "Traceback" not in output and "INFO mlflow" not in output and project.runs(entry_point) == []


def test_one_character_only(project, heads):
    output = project.call("prepare", {"dataset": heads}, code=1)
    assert "prepare: too few characters with pictures for training and testing (1): at least 4 are needed" in output


def test_an_empty_folder(project, tmp_path):
    output = project.call("prepare", {"dataset": tmp_path}, code=1)
    assert "contains no labeled picture: give a folder with one folder per character, or a table" in output.splitlines()[-1]


@pytest.mark.slow
def test_a_failing_step_stops_main_with_its_line_and_no_traceback(project, heads):
    output = project.run("main", {"dataset": heads}, code=1)
    lines = output.splitlines()
    assert lines[-1] == "main: prepare failed: see the line above; finished steps are kept"
    assert (
        any(line.startswith("prepare: too few characters with pictures for training and testing (1)") for line in lines)
        and "Traceback" not in output
    )


@pytest.mark.slow
def test_an_unknown_entry_point_names_those_there_are(project):
    done = subprocess.run(
        ["mlflow", "run", ".", "-e", "mian", "--env-manager", "local"],
        cwd=ROOT, env=project.environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode != 0 and "Could not find mian among entry points ['main'" in done.stderr
