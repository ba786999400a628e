"""kill -9 at random moments of `main` and of `enroll`, and whether their results are then those of undisturbed ones."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from crystal_eyes.recognizer import Recognizer
from pipeline.cache.digests import digest_path
from tests.runs import ROOT, TINY_MAIN, Project, artifacts, as_arguments, draw_head

STEPS = ("prepare", "train", "distill", "embed", "classify", "evaluate", "bundle")
OUTPUTS = frozenset({"catalogue", "encoder", "embeddings", "classifier", "bundle"})  # folders among a step's artifacts


def kill_after(command: list[str], seconds: float, environment: dict[str, str]) -> bool:
    """Start a command in its own process group and kill the group after some seconds. Whether it had ended before."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        process.wait(seconds)
        return True
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return False


def half_written(folder: Path) -> list[str]:
    """Partial and temporary files below a folder."""
    return [str(path) for path in folder.rglob("*") if path.suffix in (".part", ".tmp", ".partial")]


def files(folder: Path) -> dict[str, str]:
    """The digest of each file below a folder."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def kill_enrollments(bundle: Path, kills: int, seed: int, deadline: float) -> str:
    """Kill `enroll` at random moments; each time the bundle must load, and a second attempt must complete it."""
    rng, done, counts = (
        np.random.default_rng([seed, 1]),
        0,
        {"ended before": 0, "unreadable": 0, "differ": 0, "half-written": 0},
    )
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        (work / "heads").mkdir()
        for number in range(6):
            draw_head(30, number).resize((160, 160)).save(work / "heads" / f"{number}.png")

        def command(folder: Path) -> list[str]:
            enroll = ["enroll", "--bundle", str(folder), "--character", "Somebody New", str(work / "heads")]
            return [sys.executable, "-m", "crystal_eyes.cli", *enroll]

        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        shutil.copytree(bundle, work / "whole")
        start = time.monotonic()
        subprocess.run(command(work / "whole"), cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        length, expected = time.monotonic() - start, files(work / "whole")
        while done < kills and time.monotonic() < deadline:
            folder = work / f"killed{done}"
            shutil.copytree(bundle, folder)
            # half of the kills in the last fifth, where it writes
            moment = length * (rng.uniform(0.8, 1.05) if rng.random() < 0.5 else rng.uniform(0, 1))
            counts["ended before"] += kill_after(command(folder), moment, environment)
            try:
                Recognizer.load(folder, threads=1)
            except Exception as error:
                print(f"enroll killed after {moment:.2f} s: {error}", file=sys.stderr)
                counts["unreadable"] += 1
            start = time.monotonic()
            again = subprocess.run(command(folder), cwd=ROOT, env=environment, capture_output=True, text=True)
            length = time.monotonic() - start  # the first attempt was slower, with cold files
            if files(folder) != expected:
                print(f"enroll killed after {moment:.2f} s, then: {again.stdout}{again.stderr}", file=sys.stderr)
                counts["differ"] += 1
            counts["half-written"] += bool(half_written(folder))
            shutil.rmtree(folder)
            done += 1
    return f"enroll: {done} kills within {length:.1f} s; " + ", ".join(f"{name} {count}" for name, count in counts.items())


def results(project: Project) -> dict[str, list[str]]:
    """The digests of the outputs of every step, over all its runs."""
    found: dict[str, list[str]] = {}
    for step in STEPS:
        for run in project.runs(step):
            outputs = [path for path in sorted(artifacts(run).iterdir()) if path.is_dir() and path.name in OUTPUTS]
            found.setdefault(step, []).extend(f"{path.name} {digest_path(path)}" for path in outputs)
    return {step: sorted(digests) for step, digests in found.items()}


def kill_mains(kills: int, seed: int, deadline: float) -> str:
    """Kill `main` on a tiny cast at random moments, several times in one store before it is let run to its end."""
    rng, done, rounds = np.random.default_rng([seed, 2]), 0, 0
    counts = {"ended before": 0, "failed": 0, "differ": 0, "half-written": 0}
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        (work / "whole").mkdir()
        whole = Project.on(ROOT, work / "whole")
        start = time.monotonic()
        command = [sys.executable, "-m", "pipeline.main", *as_arguments(TINY_MAIN)]

        def run_to_end(project: Project) -> None:
            subprocess.run(command, cwd=ROOT, env=project.environment, check=True, stdout=subprocess.DEVNULL)

        run_to_end(whole)
        length, expected = time.monotonic() - start, results(whole)
        while done < kills and time.monotonic() + 1.6 * length < deadline:
            state = work / f"killed{rounds}"
            state.mkdir()
            project = Project.on(ROOT, state)
            for _ in range(min(kills - done, 4)):
                moment = rng.uniform(0.1, 0.6) * length
                if time.monotonic() + moment + length > deadline:
                    break
                counts["ended before"] += kill_after(command, moment, project.environment)
                done += 1
            try:
                run_to_end(project)
                if (found := results(project)) != expected:
                    print(f"main, round {rounds}: {found} instead of {expected}", file=sys.stderr)
                    counts["differ"] += 1
            except subprocess.CalledProcessError as error:
                print(f"main, round {rounds}: {error}", file=sys.stderr)
                counts["failed"] += 1
            left = half_written(state)
            counts["half-written"] += bool(left)
            print(*left, sep="\n", end="", file=sys.stderr)
            shutil.rmtree(state)
            rounds += 1
    return f"main: {done} kills in {rounds} rounds, undisturbed {length:.0f} s; " + ", ".join(
        f"{name} {count}" for name, count in counts.items()
    )
