"""A disk that fills up in each step, and two mains in one store: are the results then those of undisturbed ones?

A small tmpfs holds the store, the cache and the temporary files; mounting it takes root.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.robustness.mains import STEPS, Undisturbed, results, run_to_end, unfinished
from benchmarks.robustness.mutations import EXAMPLES
from pipeline.cache.digests import digest_path
from tests.runs import HEAD_DETECTOR, ROOT, TINY_DETECTOR, TINY_TRAINING, Project, artifacts, draw_labeled

AMPLE = 2 * 2**30  # bytes
SHARES = (0.05, 0.6)  # of what a step writes, for which there is room


@contextmanager
def disk(size: int) -> Iterator[Path]:
    """A file system of so many bytes."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
        try:
            (Path(folder) / "tmp").mkdir()
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def resize(folder: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)


def used(folder: Path) -> int:
    """Bytes."""
    return int(subprocess.run(["df", "-B1", "--output=used", folder], check=True, capture_output=True).stdout.split()[-1])


def on_disk(folder: Path) -> Project:
    project = Project.on(ROOT, folder)
    project.environment["TMPDIR"] = str(folder / "tmp")
    return project


def parameters_of_steps(whole: Undisturbed, work: Path) -> dict[str, dict[str, object]]:
    """Each step with the results of an undisturbed main as its inputs."""
    catalogue, embeddings = whole.output("prepare", "catalogue"), whole.output("embed", "embeddings")
    encoder = whole.output("train", "encoder")
    assert run_to_end(whole.project, "train", {**TINY_TRAINING, "catalogue": catalogue, "seed": 1}).returncode == 0
    other = artifacts(whole.project.runs("train")[0]) / "encoder"
    onnx, classifier = whole.output("export", "onnx"), whole.output("classify", "classifier")
    shutil.copytree(EXAMPLES, work / "illustrations" / "Somebody")
    bundle = {"detector": HEAD_DETECTOR, "onnx": onnx, "embeddings": embeddings, "classifier": classifier}
    training = TINY_TRAINING | {"epochs": 2}
    return {
        "prepare": {"dataset": whole.dataset},
        "train": {**training, "catalogue": catalogue},
        "distill": {"encoder": encoder, "other": other, "catalogue": catalogue, "distill_epochs": 2},
        "export": {"encoder": encoder, "catalogue": catalogue},
        "embed": {"onnx": onnx, "catalogue": catalogue},
        "classify": {"embeddings": embeddings, "catalogue": catalogue, "classifier": "logistic_regression"},
        "bundle": {**bundle, "catalogue": catalogue},
        "evaluate": {"bundle": whole.output("bundle", "bundle"), "catalogue": catalogue},
        "crop": {"illustrations": work / "illustrations", "detector": HEAD_DETECTOR},
        "detector": {**TINY_DETECTOR, "labels": draw_labeled(work / "labeled")},
    }


def outputs(project: Project, step: str) -> list[str]:
    return sorted(digest_path(path) for run in project.runs(step) for path in artifacts(run).iterdir() if path.is_dir())


def fill_in_step(step: str, parameters: dict[str, object], counts: Counter[str]) -> None:
    """Run a step with room for a share of what it writes, then again with enough."""
    with disk(AMPLE) as folder:
        project = on_disk(folder)
        before = used(folder)
        done = run_to_end(project, step, parameters)
        assert done.returncode == 0, done.stdout + done.stderr
        needed, expected = used(folder) - before, outputs(project, step)
    for share in SHARES:
        with disk(AMPLE) as folder:
            project = on_disk(folder)
            resize(folder, used(folder) + int(share * needed))
            failed = run_to_end(project, step, parameters)
            count_end(f"{step} with room for {share:.0%} of {needed / 1e6:.1f} MB", failed, counts)
            resize(folder, AMPLE)
            again = run_to_end(project, step, parameters)
            if again.returncode or outputs(project, step)[-len(expected) :] != expected or unfinished(folder):
                counts["not mended"] += 1
                print(f"{step} again: {again.stdout[-500:]}{again.stderr[-1500:]}", *unfinished(folder), file=sys.stderr)


def count_end(what: str, done: subprocess.CompletedProcess[str], counts: Counter[str]) -> None:
    """Count how a command ended on a disk that was full."""
    lines = done.stderr.strip().splitlines()
    if done.returncode == 0:
        end = "had enough room"
    elif "Traceback" in done.stderr:
        end = "traceback"
    else:
        end = "one line" if lines and "no space left" in lines[-1] else "another line"
    counts[end] += 1
    print(f"{what}: {end}: {lines[-1][:300] if lines else ''}", file=sys.stderr, flush=True)
    if end in ("traceback", "another line"):
        print(done.stdout[-1000:], done.stderr[-3000:], file=sys.stderr, flush=True)


def fill_disks(whole: Undisturbed, deadline: float) -> str:
    counts, filled = Counter[str](), []
    with tempfile.TemporaryDirectory() as work:
        for step, parameters in parameters_of_steps(whole, Path(work)).items():
            if time.monotonic() < deadline:
                fill_in_step(step, parameters, counts)
                filled.append(step)
        if time.monotonic() < deadline:
            fill_while_registering(whole, counts)
            filled.append("registering")
    return f"full disk in {', '.join(filled)}: " + ", ".join(f"{end} {count}" for end, count in sorted(counts.items()))


def fill_while_registering(whole: Undisturbed, counts: Counter[str]) -> None:
    """A main whose steps are done, with too little room to register its bundle."""
    with disk(AMPLE) as folder:
        project = on_disk(folder)
        assert run_to_end(project, "main", whole.parameters).returncode == 0
        expected, before = results(project), used(folder)
        for share in SHARES:
            project.client.delete_registered_model("crystal-eyes")
            needed = 20_000_000
            resize(folder, before + int(share * needed))
            count_end(
                f"registering with room for {share:.0%} of {needed / 1e6:.1f} MB",
                run_to_end(project, "main", whole.parameters),
                counts,
            )
            resize(folder, AMPLE)
            again = run_to_end(project, "main", whole.parameters)
            if again.returncode or results(project) != expected:
                counts["not mended"] += 1
                print(f"main again: {again.stderr[-1500:]}", file=sys.stderr)
            before = used(folder)


def two_mains(whole: Undisturbed, rounds: int, seed: int, deadline: float) -> str:
    """Two mains at once in one store, the second up to half a main later."""
    rng, done, counts = np.random.default_rng([seed, 4]), 0, Counter[str]()
    while done < rounds and time.monotonic() + 3 * whole.seconds < deadline:
        with tempfile.TemporaryDirectory() as state:
            project, started = Project.on(ROOT, Path(state)), []
            for pause in (0.0, rng.choice([0.0, 0.5]) * rng.random() * whole.seconds):
                time.sleep(pause)
                started.append(project.start("main", whole.parameters))
            said = [process.communicate()[0] for process in started]
            counts["failed"] += sum(process.returncode != 0 for process in started)
            counts["differ"] += results(project) != whole.results
            repeated = {step: len(project.runs(step)) - len(whole.results[step]) for step in STEPS}
            counts["steps run twice"] += sum(repeated.values())
            counts["versions"] += len(project.client.search_model_versions("name = 'crystal-eyes'"))
            counts["unfinished files"] += bool(unfinished(Path(state)))
            if any(process.returncode for process in started):
                print(*(text[-2000:] for text in said), sep="\n", file=sys.stderr, flush=True)
            done += 1
    names = ("failed", "differ", "steps run twice", "unfinished files", "versions")
    return f"two mains at once: {done} rounds; " + ", ".join(f"{name} {counts[name]}" for name in names)
