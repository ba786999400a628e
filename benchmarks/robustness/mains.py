"""Tiny mains in stores of their own: started, killed, run to their end, and compared."""

import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import NoReturn

from crystal_eyes.recognizer.recognizer import bundle_folder
from pipeline.cache.digests import digest_path
from pipeline.cache.records import KEY, OUTPUTS
from tests.runs import ROOT, TINY, Project, artifacts, as_arguments, draw_heads, module_of, tracking_store

SMALLEST = {**TINY, "classifiers": "perceptron", "naming": "perceptron"}  # main, beside its dataset
STEPS = ("prepare", "train", "distill", "export", "embed", "classify", "bundle", "evaluate")
STEPS_AND_MORE = (*STEPS, "crop", "detector")
IMPORTED = ("mlflow", "torch", "onnx", "onnxscript", "pandas", "matplotlib.figure", "sklearn.linear_model", "skops.io", "faiss")
UNFINISHED = (".part", ".tmp", ".partial", ".new", ".old")  # how names of files and folders end while they are written

Results = dict[str, list[str]]  # by step: name and digest of each different output


def command(entry_point: str, parameters: Mapping[str, object]) -> list[str]:
    return [sys.executable, "-m", module_of(entry_point), *as_arguments(parameters)]


def kill_after(words: list[str], seconds: float, environment: Mapping[str, str], alone: bool = False) -> bool:
    """Start a command and kill -9 it after some seconds, with the processes it has started or alone. Whether it had ended."""
    process = subprocess.Popen(
        words, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        process.wait(seconds)
        return True
    except subprocess.TimeoutExpired:
        process.kill() if alone else os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return False


def run_to_end(project: Project, entry_point: str, parameters: Mapping[str, object]) -> subprocess.CompletedProcess[str]:
    if entry_point in STEPS_AND_MORE:
        return forked(project, entry_point, parameters)
    return subprocess.run(command(entry_point, parameters), cwd=ROOT, env=project.environment, capture_output=True, text=True)


def forked(
    project: Project, entry_point: str, parameters: Mapping[str, object], kill_after: float = inf
) -> subprocess.CompletedProcess[str]:
    """Run a step in a process that has imported its libraries already, which takes longer than a small step itself.

    kill_after: seconds after which it is killed with -9.
    """
    for module in IMPORTED:
        importlib.import_module(module)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("out", "err")]
        number = os.fork()
        if not number:
            _become(project, entry_point, parameters, paths)
        deadline, status = time.monotonic() + kill_after, (0, 0)
        while status[0] == 0:
            time.sleep(0.005)
            if time.monotonic() > deadline:
                os.kill(number, signal.SIGKILL)
                deadline = inf
            status = os.waitpid(number, os.WNOHANG)
        said = [path.read_text("utf-8", "replace") if path.exists() else "" for path in paths]
        return subprocess.CompletedProcess([entry_point], os.waitstatus_to_exitcode(status[1]), *said)


def _become(project: Project, entry_point: str, parameters: Mapping[str, object], paths: list[Path]) -> NoReturn:
    """Turn a forked process into one that runs an entry point."""
    try:
        os.setsid()
        for path, stream in zip(paths, (1, 2)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644), stream)
        sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))
        tempfile.tempdir = None
        with project.entered(module_of(entry_point), parameters):
            runpy.run_module(module_of(entry_point), run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as error:
        code = int(error.code or 0)
    except BaseException:
        traceback.print_exc()
        code = 99
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def unfinished(folder: Path) -> list[str]:
    """Partial and temporary files and folders below a folder, and what steps left in their workspaces."""
    return [str(path) for path in folder.rglob("*") if path.suffix in UNFINISHED or path.parent.match("cache/work")]


def results(project: Project) -> Results:
    """What the finished runs of each step hold, read again, and the champion's bundle."""
    found: Results = {}
    for step in STEPS:
        finished = [run for run in project.runs(step) if run.info.status == "FINISHED" and KEY in run.data.tags]
        outputs = {(name, artifacts(run) / name) for run in finished for name in json.loads(run.data.tags[OUTPUTS])}
        found[step] = sorted({f"{name} {digest_path(path)}" for name, path in outputs})
    with tracking_store(project.tracking_uri):
        if project.client.search_registered_models("name = 'crystal-eyes'"):
            found["champion"] = [digest_path(bundle_folder("models:/crystal-eyes@champion"))]
    return found


@dataclass(frozen=True)
class Undisturbed:
    """A main of eight drawn characters that nobody disturbed."""

    project: Project
    dataset: Path
    seconds: float
    results: Results

    @classmethod
    def run(cls, folder: Path) -> "Undisturbed":
        folder.mkdir(parents=True)
        project, dataset, start = Project.on(ROOT, folder), draw_heads(folder / "heads"), time.monotonic()
        done = run_to_end(project, "main", SMALLEST | {"dataset": dataset})
        assert done.returncode == 0, done.stdout + done.stderr
        return cls(project, dataset, time.monotonic() - start, results(project))

    @property
    def parameters(self) -> dict[str, object]:
        """Of the same main in another store."""
        return SMALLEST | {"dataset": self.dataset}

    def output(self, step: str, name: str) -> Path:
        """The folder of a step's output."""
        return artifacts(self.project.runs(step)[-1]) / name
