"""Kills, interruptions, a full disk and concurrent runs: nothing is lost, nothing partially written is used."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.cache.digests import digest_path
from pipeline.parameters.steps import Prepare
from pipeline.step import FAILURE, run_step
from tests.runs import ROOT, TINY, TINY_TRAINING, Project, artifacts, draw_heads

TRAINING = {**TINY_TRAINING, "epochs": 4}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> tuple[Path, str]:
    """A folder of heads, and a catalogue of it as a plain path."""
    folder = tmp_path_factory.mktemp("prepared")
    heads = draw_heads(folder / "heads")
    project = Project.on(ROOT, folder)
    project.call("prepare", {"dataset": heads})
    (run,) = project.runs("prepare")
    return heads, str(artifacts(run) / "catalogue")


def wait_for(process: subprocess.Popen, text: str) -> None:
    for line in process.stdout:
        if text in line:
            return
    pytest.fail(f"the process ended without printing {text!r}")


def encoder_digest(project: Project) -> str:
    return digest_path(artifacts(project.runs("train")[0]) / "encoder")


def test_a_killed_training_run_resumes_with_the_result_of_an_uninterrupted_one(prepared, tmp_path):
    _, catalogue = prepared
    parameters = {**TRAINING, "catalogue": catalogue}
    unbroken, killed = Project.on(ROOT, tmp_path / "a"), Project.on(ROOT, tmp_path / "b")
    for project in (unbroken, killed):
        Path(project.environment["CRYSTAL_EYES_CACHE"]).mkdir(parents=True)
    unbroken.call("train", parameters)

    process = killed.start("train", parameters)
    wait_for(process, "epoch 2/4: loss")
    process.kill()
    process.wait()
    assert killed.runs("train") == []  # it left no run that could be taken for a result
    output = killed.run("train", parameters)
    assert "epoch 3/4: " in output
    assert not any(line.startswith("epoch 1/4: ") and "batches" in line for line in output.splitlines())
    assert encoder_digest(killed) == encoder_digest(unbroken)
    (run,) = killed.runs("train")
    history = killed.client.get_metric_history(run.info.run_id, "loss")
    assert [metric.step for metric in history] == [1, 2, 3, 4]  # the curve is whole


def test_an_interruption_says_so_in_one_line(prepared, tmp_path):
    _, catalogue = prepared
    project = Project.on(ROOT, tmp_path)
    process = project.start("train", {**TRAINING, "catalogue": catalogue})
    wait_for(process, "epoch 1/4: loss")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert output.splitlines()[-1] == "train: interrupted; finished work is kept: run the same command again to resume"
    assert "Traceback" not in output


def test_a_training_in_two_processes_is_interrupted_and_finished_by_one(prepared, tmp_path):
    _, catalogue = prepared
    project, parameters = Project.on(ROOT, tmp_path), {**TRAINING, "catalogue": catalogue, "batch_size": 8}
    process = project.start("train", {**parameters, "engine": "torchrun", "processes": 2})
    wait_for(process, "epoch 1/4: loss")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert output.splitlines()[-1] == "train: interrupted; finished work is kept: run the same command again to resume"
    assert "Traceback" not in output and output.count("epoch 2/4: ") <= 1  # one process shows its progress
    output = project.run("train", parameters)
    assert not any(line.startswith("epoch 1/4: ") and "batches" in line for line in output.splitlines())
    (run,) = project.runs("train")
    history = project.client.get_metric_history(run.info.run_id, "loss")
    assert [metric.step for metric in history] == [1, 2, 3, 4]


def test_two_mains_at_once_share_the_work(tmp_path):
    project = Project.on(ROOT, tmp_path)
    parameters = {**TINY, "classifiers": "perceptron", "naming": "perceptron", "dataset": draw_heads(tmp_path / "heads")}
    project.client.search_experiments()  # the store's tables are made
    processes = [project.start("main", parameters) for _ in range(2)]
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(outputs)
    steps = ("prepare", "train", "export", "embed", "classify", "bundle", "evaluate")
    assert {step: len(project.runs(step)) for step in steps} == dict.fromkeys(steps, 1)
    assert len(project.client.search_model_versions("name = 'crystal-eyes'")) == 1


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of this size in a new folder; skips the test where none may be mounted."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("may not mount a small disk here")
    try:
        yield folder
    finally:
        time.sleep(0.2)
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_is_named_and_leaves_no_result(prepared, tmp_path):
    heads, _ = prepared
    with small_disk(tmp_path / "disk", "24k") as disk:
        project = Project.on(ROOT, tmp_path)
        output = project.run("prepare", {"dataset": heads}, code=1, CRYSTAL_EYES_CACHE=str(disk))
        assert "prepare: no space left" in output.splitlines()[-1] and "Traceback" not in output
        assert project.runs("prepare") == []
        project.call("prepare", {"dataset": heads})  # with room, the same command works
        assert len(project.runs("prepare")) == 1


@pytest.mark.parametrize("room", [0, 60_000])
def test_a_full_disk_below_the_store_is_named_too(prepared, tmp_path, room):
    """MLflow reports it as an error of its database, after logging it with tracebacks."""
    heads, _ = prepared
    with small_disk(tmp_path / "disk", "40m") as disk:
        project = Project.on(ROOT, disk)
        free = os.statvfs(disk)
        size = (free.f_blocks - free.f_bfree) * free.f_frsize + room
        subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)
        output = project.run("prepare", {"dataset": heads}, code=1)
        assert output.count("prepare: no space left") == 1 and "Traceback" not in output, output
        subprocess.run(["mount", "-o", "remount,size=40m", disk], check=True)
        assert project.runs("prepare") == []
        project.call("prepare", {"dataset": heads})
        assert len(project.runs("prepare")) == 1


def test_an_interruption_that_python_drops_in_a_finalizer_is_raised_again():
    code = (
        "import os, signal, time; from pipeline.step import one_line_errors\n"
        "class Gone:\n    def __del__(self):\n        os.kill(os.getpid(), signal.SIGTERM); time.sleep(0.1)\n"
        "with one_line_errors('step'):\n    Gone()\n    time.sleep(30)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 130 and "step: interrupted" in done.stderr


@pytest.mark.parametrize(("before", "code"), [("SIG_DFL", 130), ("SIG_IGN", 0)])
def test_a_closed_terminal_interrupts_unless_sighup_is_ignored(before, code):
    program = (
        "import os, signal\n"
        f"signal.signal(signal.SIGHUP, signal.{before})\n"
        "from pipeline.step import one_line_errors\n"
        "with one_line_errors('here'):\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == code, ended.stderr
    assert ("here: interrupted; finished work is kept" in ended.stderr) == (code == 130)


def test_why_a_step_crashed_is_written_on_its_run(tmp_path):
    """Also for unexpected errors: a sweep's table and the UI show the reason."""
    project = Project.on(ROOT, tmp_path)

    def body(*_):
        raise RuntimeError("out of memory\nand much more")

    with project.entered("steps.prepare", {}), pytest.raises(SystemExit):
        run_step("prepare", Prepare, body)
    (run,) = project.client.search_runs(["0"])
    assert run.data.tags[FAILURE] == "RuntimeError: out of memory" and run.info.status == "FAILED"
    assert project.runs("prepare") == []
