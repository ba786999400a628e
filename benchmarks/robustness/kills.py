"""kill -9 at random moments of `enroll`, `main` and `train`: are the results then those of undisturbed ones?"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from benchmarks.robustness.mains import Undisturbed, command, forked, kill_after, results, run_to_end, unfinished
from crystal_eyes.recognizer import Recognizer
from pipeline.cache.digests import digest_path
from tests.runs import ROOT, TINY_TRAINING, Project, artifacts, draw_head

KILLS_A_ROUND = 4  # of a main, before it is let run to its end: half of them without the step that it has started
TRAINING = {**TINY_TRAINING, "epochs": 12}


def files(folder: Path) -> dict[str, str]:
    """The digest of each file below a folder."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def said(what: str, done: int, counts: Counter[str], seconds: float) -> str:
    names = ("ended before", "unreadable", "failed", "differ", "unfinished files")
    return f"{what}: {done} kills, undisturbed {seconds:.0f} s; " + ", ".join(f"{name} {counts[name]}" for name in names)


def kill_enrollments(bundle: Path, kills: int, seed: int, deadline: float) -> str:
    """Kill `enroll` at random moments; each time the bundle must load, and a second attempt must complete it."""
    rng, done, counts = np.random.default_rng([seed, 1]), 0, Counter[str]()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        (work / "heads").mkdir()
        for number in range(6):
            draw_head(30, number).resize((160, 160)).save(work / "heads" / f"{number}.png")

        def enroll(folder: Path) -> list[str]:
            words = ["enroll", "--bundle", str(folder), "--character", "Somebody New", str(work / "heads")]
            return [sys.executable, "-m", "crystal_eyes.cli", *words]

        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        shutil.copytree(bundle, work / "whole")
        start = time.monotonic()
        subprocess.run(enroll(work / "whole"), cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        length, expected = time.monotonic() - start, files(work / "whole")
        while done < kills and time.monotonic() < deadline:
            folder = work / f"killed{done}"
            shutil.copytree(bundle, folder)
            # half of the kills in the last fifth, where it writes
            moment = length * (rng.uniform(0.8, 1.05) if rng.random() < 0.5 else rng.uniform(0, 1))
            counts["ended before"] += kill_after(enroll(folder), moment, environment)
            try:
                Recognizer.load(folder, threads=1)
            except Exception as error:
                print(f"enroll killed after {moment:.2f} s: {error}", file=sys.stderr)
                counts["unreadable"] += 1
            start = time.monotonic()
            again = subprocess.run(enroll(folder), cwd=ROOT, env=environment, capture_output=True, text=True)
            length = time.monotonic() - start  # the first attempt was slower, with cold files
            if files(folder) != expected:
                print(f"enroll killed after {moment:.2f} s, then: {again.stdout}{again.stderr}", file=sys.stderr)
                counts["differ"] += 1
            counts["unfinished files"] += bool(unfinished(folder))
            shutil.rmtree(folder)
            done += 1
    return said("enroll", done, counts, length)


def kill_mains(whole: Undisturbed, kills: int, seed: int, deadline: float) -> str:
    """Kill `main` on a few heads at random moments, KILLS_A_ROUND in one store, before it is let run to its end."""
    rng, done, counts = np.random.default_rng([seed, 2]), 0, Counter[str]()
    words = command("main", whole.parameters)
    while done < kills and time.monotonic() + 2 * whole.seconds < deadline:
        with tempfile.TemporaryDirectory() as state:
            project, moments = Project.on(ROOT, Path(state)), []
            for number in range(min(kills - done, KILLS_A_ROUND)):
                moment, alone = rng.uniform(0.03, 0.5) * whole.seconds, number % 2 == 1
                counts["ended before"] += kill_after(words, moment, project.environment, alone)
                moments.append(f"{moment:.1f} s{' (alone)' if alone else ''}")
                done += 1
            last = run_to_end(project, "main", whole.parameters)
            _compare(f"main killed after {', '.join(moments)}", last, results(project), whole.results, counts)
            _count_unfinished(Path(state), counts)
    return said("main", done, counts, whole.seconds)


def kill_trainings(whole: Undisturbed, kills: int, seed: int, deadline: float) -> str:
    """Kill `train` at random moments, then let it go on to its end: the encoder must be the same."""
    rng, done, counts = np.random.default_rng([seed, 3]), 0, Counter[str]()
    parameters = {**TRAINING, "catalogue": whole.output("prepare", "catalogue")}

    def encoders(project: Project) -> list[str]:
        return [digest_path(artifacts(run) / "encoder") for run in project.runs("train")]

    for _ in range(2):  # the first is slower, with imports and cold files
        with tempfile.TemporaryDirectory() as state:
            project, start = Project.on(ROOT, Path(state)), time.monotonic()
            first = run_to_end(project, "train", parameters)
            length, expected = time.monotonic() - start, encoders(project)
            assert first.returncode == 0, first.stderr
    while done < kills and time.monotonic() + 2 * length < deadline:
        with tempfile.TemporaryDirectory() as state:
            project, moment = Project.on(ROOT, Path(state)), rng.uniform(0.05, 0.9) * length
            counts["ended before"] += forked(project, "train", parameters, moment).returncode == 0
            last = run_to_end(project, "train", parameters)
            _compare(f"train killed after {moment:.1f} s", last, sorted(set(encoders(project))), expected, counts)
            _count_unfinished(Path(state), counts)
            done += 1
    return said("train", done, counts, length)


def _compare(what: str, last: subprocess.CompletedProcess[str], found: object, expected: object, counts: Counter[str]) -> None:
    """Count a rerun that failed, or whose results are not the expected ones, and say so."""
    if last.returncode:
        counts["failed"] += 1
        print(f"{what}: exit code {last.returncode}: {(last.stdout + last.stderr)[-3000:]}", file=sys.stderr, flush=True)
    elif found != expected:
        counts["differ"] += 1
        print(f"{what}: {found} instead of {expected}", file=sys.stderr, flush=True)
    else:
        print(f"{what}: as undisturbed", file=sys.stderr, flush=True)


def _count_unfinished(state: Path, counts: Counter[str]) -> None:
    if left := unfinished(state):
        counts["unfinished files"] += 1
        print(*left, sep="\n", file=sys.stderr, flush=True)
