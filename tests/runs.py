"""Tiny pictures, and entry points run on a real MLflow store.

MLflow, whose import takes two seconds, is imported only where a store is used: unit tests draw their heads from here too.
"""

import io
import os
import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

ROOT = Path(__file__).resolve().parents[1]
HEAD_DETECTOR = ROOT / "models" / "head-detector"  # the one that comes with the project
SIDE = 48
TINY_TRAINING = {"backbone": "mnasnet_small", "epochs": 1, "image_size": 32, "weights": "none", "embedding_size": 16}
TINY = {**TINY_TRAINING, "distill_epochs": 0, "classifiers": "perceptron,faiss"}
TINY_MAIN = {**TINY, "characters": 8, "pictures": 8, "distill_epochs": 2}


INK = (30, 20, 30)


def draw_head(character: int, number: int) -> Image.Image:
    """A face in the colors of its character; position and background differ by picture."""
    colors = np.random.default_rng(character).integers(30, 226, (3, 3))
    hair, skin, eyes = (tuple(int(v) for v in color) for color in colors)
    rng = np.random.default_rng([character, number])
    blotches = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    picture = blotches.resize((SIDE, SIDE), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(picture)
    x, y = (int(v) for v in rng.integers(-5, 6, 2))
    draw.ellipse((6 + x, 4 + y, 42 + x, 44 + y), fill=hair)
    draw.ellipse((12 + x, 14 + y, 36 + x, 42 + y), fill=skin)
    draw.line((21 + x, 36 + y, 27 + x, 36 + y), fill=INK)
    for left in (16, 27):  # without white in its eyes and a mouth, the face would be a pattern to the detector
        draw.ellipse((left - 1 + x, 23 + y, left + 6 + x, 31 + y), fill="white", outline=INK)
        draw.ellipse((left + 1 + x, 24 + y, left + 4 + x, 31 + y), fill=eyes)
    return picture


def draw_heads(folder: Path, characters: int = 8, pictures: int = 6) -> Path:
    """A dataset of one folder per character, pictures of 48 x 48 pixels. Returns the folder."""
    for character in range(characters):
        home = folder / f"Character {character}"
        home.mkdir(parents=True)
        for number in range(pictures):
            draw_head(character, number).save(home / f"{number}.png")
    return folder


@contextmanager
def tracking_store(uri: str) -> Iterator[None]:
    """MLflow's default store in this process, for a while."""
    import mlflow

    with mock.patch.dict(os.environ):
        mlflow.set_tracking_uri(uri)
        try:
            yield
        finally:
            mlflow.set_tracking_uri(None)  # back to what the environment says


@dataclass
class Project:
    """The entry points of a source tree with their own tracking store and cache."""

    folder: Path  # the source tree
    state: Path  # holds the store, the artifacts and the cache
    environment: dict[str, str]

    @classmethod
    def on(cls, folder: Path, state: Path) -> "Project":
        """A project whose state is kept in an existing folder; its store is created unless it exists."""
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        own = {
            "MLFLOW_TRACKING_URI": f"sqlite:///{state}/mlflow.db",
            "CRYSTAL_EYES_CACHE": str(state / "cache"),
            "PATH": str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"],
            "OMP_WAIT_POLICY": "PASSIVE",
        }
        # left to itself, MLflow would put artifacts into the working folder, which is the source tree
        SqlAlchemyStore(own["MLFLOW_TRACKING_URI"], (state / "mlruns").as_uri())
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        return cls(folder, state, {**inherited, **own})

    def fork(self, state: Path) -> "Project":
        """A project with a copy of this one's store, to change runs and tags in; the artifacts of finished runs are shared."""
        shutil.copy(self.state / "mlflow.db", state / "mlflow.db")
        return Project.on(self.folder, state)

    @property
    def tracking_uri(self) -> str:
        return self.environment["MLFLOW_TRACKING_URI"]

    @property
    def client(self) -> "MlflowClient":
        from mlflow import MlflowClient

        return MlflowClient(self.tracking_uri)

    def start(self, entry_point: str, parameters: Mapping[str, object], **environment: str) -> subprocess.Popen[str]:
        """Start an entry point as MLflow's command for it does, without the seconds that `mlflow run` itself costs."""
        return subprocess.Popen(
            [sys.executable, "-m", module_of(entry_point), *as_arguments(parameters)],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, entry_point: str, parameters: Mapping[str, object], code: int = 0, **environment: str) -> str:
        """Run an entry point in a separate process; returns what it printed. Fails the test unless it exits with this code."""
        process = self.start(entry_point, parameters, **environment)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == code, output
        return output

    @contextmanager
    def entered(self, module: str, parameters: Mapping[str, object]) -> Iterator[None]:
        """This process's store, environment, folder and command line are those of an entry point, for a while."""
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)}
        with (
            tracking_store(self.tracking_uri),
            mock.patch.dict(os.environ, self.environment),
            mock.patch.object(sys, "argv", [module, *as_arguments(parameters)]),
            chdir(self.folder),
        ):
            try:
                yield
            finally:
                for number, handler in handlers.items():
                    signal.signal(number, handler)

    def call(self, entry_point: str, parameters: Mapping[str, object], code: int = 0) -> str:
        """Like run, but in this process, which has imported everything: use it if no separate process is needed."""
        module, exited = module_of(entry_point), 0
        printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        with self.entered(module, parameters), redirect_stdout(printed), redirect_stderr(printed):
            try:
                runpy.run_module(module, run_name="__main__")
            except SystemExit as error:
                exited = int(error.code or 0)
        output = printed.buffer.getvalue().decode()
        assert exited == code, output
        return output

    def plan(self, parameters: Mapping[str, object]) -> dict[str, tuple[str, list[str]]]:
        """The plan of main: by step, its verdict (run or reuse) and its lines."""
        steps: dict[str, tuple[str, list[str]]] = {}
        for line in self.call("main", {**parameters, "plan": "true"}).splitlines():
            if line.startswith(("run ", "reuse ")):
                verdict, step = line.split("  (")[0].split(maxsplit=1)
                steps[step] = (verdict, [line])
            elif line.startswith("    ") and steps:
                steps[step][1].append(line.strip())
        return steps

    def runs(self, step: str) -> "list[Run]":
        """Every run of a step that was recorded for the cache, newest first."""
        return self.client.search_runs(["0"], f"tags.`crystal_eyes.step` = '{step}'", order_by=["attributes.end_time DESC"])

    def children(self, run_id: str) -> "dict[str, Run]":
        """The child runs of main by name: prepare, train, train seed 1, classify faiss..."""
        found = {}
        for run in self.client.search_runs(["0"], f"tags.`mlflow.parentRunId` = '{run_id}'"):
            if name := run.data.tags.get("crystal_eyes.step"):
                seed = int(run.data.params.get("seed", 0))
                name += f" {run.data.params['classifier']}" if name == "classify" else ""
                name += f" seed {seed}" if name == "train" and seed else ""
                assert name not in found
                found[name] = run
        return found


def module_of(entry_point: str) -> str:
    return f"pipeline.{entry_point}" if entry_point in ("main", "release", "sweep") else f"steps.{entry_point}"


def as_arguments(parameters: Mapping[str, object]) -> list[str]:
    return [text for name, value in parameters.items() for text in (f"--{name}", str(value))]


def artifacts(run: "Run") -> Path:
    """The folder of a run's artifacts."""
    return Path(run.info.artifact_uri.removeprefix("file://"))


@dataclass
class FinishedMain:
    """A run of main that `mlflow run` has completed."""

    project: Project
    run_id: str
    experiment_id: str
    output: str

    @property
    def tracking_uri(self) -> str:
        return self.project.tracking_uri

    @classmethod
    def read(cls, state: Path) -> "FinishedMain":
        """The run of main that run_tiny_main made there."""
        project = Project.on(ROOT, state)
        main = "tags.entry_point = 'main'"
        run, *_ = project.client.search_runs(["0"], main, order_by=["attributes.start_time"])
        return cls(project, run.info.run_id, run.info.experiment_id, (state / "output.txt").read_text("utf-8"))


def run_tiny_main(state: Path) -> None:
    """The README's command on a tiny cast, with its state in an existing folder."""
    arguments = [text for name, value in TINY_MAIN.items() for text in ("-P", f"{name}={value}")]
    done = subprocess.run(
        ["mlflow", "run", ".", "-e", "main", "--env-manager", "local", *arguments], cwd=ROOT,
        env=Project.on(ROOT, state).environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    (state / "output.txt").write_text(done.stdout, "utf-8")


@dataclass
class FinishedDetector:
    """A detector that its entry point has trained, and the folder of its labeled pictures."""

    project: Project
    folder: Path
    labels: Path
    output: str
    calls: str  # of the network, a line each

    @property
    def run(self) -> "Run":
        return self.project.runs("detector")[0]

    @classmethod
    def read(cls, state: Path) -> "FinishedDetector":
        """The detector that run_tiny_detector trained there."""
        project = Project.on(ROOT, state)
        *_, first = project.runs("detector")
        output, calls = ((state / name).read_text("utf-8") for name in ("output.txt", "calls.txt"))
        return cls(project, artifacts(first) / "detector", state / "labeled", output, calls)


def draw_labeled(folder: Path, count: int = 9) -> Path:
    """A YOLO folder of composed scenes: images/ and labels/."""
    from crystal_eyes.detector.training import yolo_dataset
    from crystal_eyes.detector.training.cutouts import cast_cutouts
    from crystal_eyes.detector.training.scenes import compose_scenes

    yolo_dataset.write(folder, "own", compose_scenes(count, "own", [9, 9], cast_cutouts(2, characters=30)))
    return folder


# run in every Python process of the step: records each host lookup and each connection
WATCH = """
import socket
look_up, connect = socket.getaddrinfo, socket.socket.connect
def note(*what):
    with open({calls!r}, "a") as file:
        print(*what, file=file)
def noted_look_up(host, *more, **options):
    note("look-up", host)
    return look_up(host, *more, **options)
def noted_connect(self, address):
    if self.family != socket.AF_UNIX:
        note("connect", address)
    return connect(self, address)
socket.getaddrinfo, socket.socket.connect = noted_look_up, noted_connect
note("watching")
"""
TINY_DETECTOR = {"scenes": 16, "detector_epochs": 2, "detector_image_size": 96, "detector_batch_size": 8, "repeat": 1}


def run_tiny_detector(state: Path) -> None:
    """The entry point as MLflow's command starts it, with its state in an existing folder."""
    project, labels = Project.on(ROOT, state), draw_labeled(state / "labeled")
    (labels / "images" / "own" / "broken.jpg").write_bytes(b"no picture")
    (labels / "labels" / "own" / "broken.txt").write_text("0 0.5 0.5 0.1 0.1")
    (labels / "labels" / "own" / "nobody.txt").write_text("")
    (state / "watch").mkdir()
    (state / "watch" / "sitecustomize.py").write_text(WATCH.format(calls=str(state / "calls.txt")))
    output = project.run("detector", {**TINY_DETECTOR, "labels": labels}, PYTHONPATH=str(state / "watch"))
    (state / "output.txt").write_text(output, "utf-8")
