"""Time of main with everything cached, compared with the minimum and with MLflow's classic multistep driver; then its faults.

    python benchmarks/get_or_run/run.py [rounds]

Works in a temporary copy of this working tree with its own store; takes some minutes. Results: docs/results.md.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import faults
import numpy as np
from mlflow import MlflowClient
from PIL import Image, ImageDraw

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TINY = {"weights": "none", "embedding_size": 16, "image_size": 32, "epochs": 1, "classifiers": "perceptron,faiss"}


def copy_tree(target: Path) -> None:
    """Copy the working tree as it is and commit it to a new repository, so that concurrent edits have no effect."""
    git = ["git", "-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost"]
    listed = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes((ROOT / name).read_bytes())
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "the working tree"]):
        subprocess.run([*git, *command], cwd=target, check=True)


def draw_dataset(folder: Path, characters: int = 8, pictures: int = 8) -> None:
    """One folder per character: one color each, with shapes that differ from picture to picture."""
    random = np.random.default_rng(0)
    for character in range(characters):
        for number in range(pictures):
            picture = Image.new("RGB", (40, 40), tuple(random.integers(0, 256, 3).tolist()))
            draw = ImageDraw.Draw(picture)
            for _ in range(6):
                left, top = random.integers(0, 28, 2).tolist()
                draw.ellipse((left, top, left + 12, top + 12), fill=(30 * character, 255 - 30 * character, left * 6))
            (folder / f"character-{character}").mkdir(parents=True, exist_ok=True)
            picture.save(folder / f"character-{character}" / f"{number}.png")


def mlflow_run(folder: Path, entry_point: str, **parameters) -> None:
    command = [Path(sys.executable).with_name("mlflow"), "run", folder, "-e", entry_point, "--env-manager", "local"]
    command += [text for name, value in parameters.items() for text in ("-P", f"{name}={value}")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


def measured(action) -> tuple[float, float]:
    """(wall seconds, CPU seconds of all its processes)."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    action()
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def started(action, log: Path, driver: str) -> list[str]:
    """Every process that the driver starts while the action runs."""
    log.write_text("")
    os.environ |= {"PYTHONPATH": str(HERE / "watch"), "STARTED": str(log)}
    action()
    del os.environ["PYTHONPATH"], os.environ["STARTED"]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    if not lines:
        raise SystemExit("no started process was recorded, not even the driver: recording doesn't work here")
    return [line["what"] for line in lines if any(driver in word for word in line["by"])]


def runs() -> int:
    return len(MlflowClient().search_runs(["0"], max_results=5000))


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="crystal-eyes-benchmark-") as temporary:
        work = Path(temporary)
        os.chdir(work)
        os.environ |= {
            "MLFLOW_TRACKING_URI": f"sqlite:///{work}/mlflow.db",
            "CRYSTAL_EYES_CACHE": str(work / "cache"),
            "OMP_WAIT_POLICY": "PASSIVE",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        tree, dataset = work / "tree", work / "dataset"
        tree.mkdir()
        copy_tree(tree)
        draw_dataset(dataset)
        classic = tree / "benchmarks" / "get_or_run" / "classic"
        commands = {
            "a: empty entry point": lambda: mlflow_run(classic, "empty"),
            "b: import mlflow, one query": lambda: mlflow_run(classic, "question"),
            "c: main, all cached": lambda: mlflow_run(tree, "main", dataset=dataset, distill_epochs=0, **TINY),
            "d: classic main, all cached": lambda: mlflow_run(classic, "main", dataset=dataset, **TINY),
        }
        a, b, c, d = commands
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start; running main once", flush=True)
        print(f"first run of main: {measured(commands[c])[0]:.0f} s wall\n", flush=True)
        before = runs()
        seconds = {name: [] for name in commands}
        for number in range(rounds):
            for name, action in commands.items():
                seconds[name].append(measured(action))
            print(f"round {number + 1}: " + ", ".join(f"{n[0]} {s[-1][0]:.2f}" for n, s in seconds.items()), flush=True)
        new = runs() - before
        if new != 4 * rounds:
            raise SystemExit(f"{new} new runs instead of the {4 * rounds} of the drivers: something was not cached")

        print(f"\n{rounds} rounds, load {os.getloadavg()[0]:.1f} at their end; median (min-max)\n")
        print("| command | wall s | CPU s |\n|---|---|---|")
        for name, pairs in seconds.items():
            wall, cpu = zip(*pairs)
            print(f"| {name} | {spread(wall)} | {spread(cpu)} |")
        for what, one, other in (("c - b", c, b), ("d - b", d, b)):
            for kind, text in enumerate(("wall", "CPU")):
                print(f"{what}, {text}: {spread([x[kind] - y[kind] for x, y in zip(seconds[one], seconds[other])])} s")
        for what, one, other in (("c / b", c, b), ("c / d", c, d)):
            print(f"{what}, wall: {spread([x[0] / y[0] for x, y in zip(seconds[one], seconds[other])])}")

        for name, driver in ((b, "question.py"), (c, "pipeline.main"), (d, "classic.py")):
            before, found = runs(), started(commands[name], work / "started", driver)
            print(f"\n{name}: {runs() - before} new run (its own); processes started by the driver: {len(found)}")
            for what in found:
                print(f"  {what}")
        print(f"\n{faults.table(tree, dataset, mlflow_run)}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
