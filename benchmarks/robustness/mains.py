"""Tiny mains in stores of their own: started, killed, run to their end, and compared."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from crystal_eyes.recognizer.recognizer import bundle_folder
from pipeline.cache.digests import digest_path
from pipeline.cache.records import KEY, OUTPUTS
from tests.runs import ROOT, TINY, Project, artifacts, as_arguments, draw_heads, module_of, tracking_store

SMALLEST = {**TINY, "classifiers": "perceptron", "naming": "perceptron"}  # main, beside its dataset
STEPS = ("prepare", "train", "distill", "export", "embed", "classify", "bundle", "evaluate")
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
    return subprocess.run(
        command(entry_point, parameters), cwd=ROOT, env=project.environment, capture_output=True, text=True, timeout=1800
    )


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
