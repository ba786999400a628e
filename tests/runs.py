"""Tiny pictures, and the real MLflow over a copy of the project: what the tests of steps and pipeline start from."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parents[1]
CODE = ("MLproject", "conda.yaml", "README.md", "crystal_eyes", "models", "pipeline", "steps", "sweeps")
HEAD_DETECTOR = ROOT / "models" / "head-detector"  # the one that comes with the project
SIDE = 48
TINY_TRAINING = {"backbone": "mnasnet_small", "epochs": 1, "image_size": 32, "weights": "none", "embedding_size": 16}
TINY = {**TINY_TRAINING, "distill_epochs": 0, "classifiers": "perceptron,faiss"}
TINY_MAIN = {**TINY, "characters": 8, "pictures": 8, "distill_epochs": 2}


def draw_head(character: int, number: int) -> Image.Image:
    """A face whose hair, skin and eyes are the character's; its place and the blotchy background are the picture's."""
    colours = np.random.default_rng(character).integers(30, 226, (3, 3))
    hair, skin, eyes = (tuple(int(v) for v in colour) for colour in colours)
    rng = np.random.default_rng([character, number])
    blotches = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    picture = blotches.resize((SIDE, SIDE), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(picture)
    x, y = (int(v) for v in rng.integers(-5, 6, 2))
    draw.ellipse((6 + x, 4 + y, 42 + x, 44 + y), fill=hair)
    draw.ellipse((12 + x, 14 + y, 36 + x, 42 + y), fill=skin)
    for left in (16, 27):
        draw.ellipse((left + x, 24 + y, left + 5 + x, 31 + y), fill=eyes)
    return picture


def draw_heads(folder: Path, characters: int = 8, pictures: int = 6) -> Path:
    """A folder a character, of pictures of 48 x 48 pixels."""
    for character in range(characters):
        home = folder / f"Character {character}"
        home.mkdir(parents=True)
        for number in range(pictures):
            draw_head(character, number).save(home / f"{number}.png")
    return folder


@dataclass
class Project:
    """A copy of the project's code with a tracking store and a cache of its own."""

    folder: Path
    tracking_uri: str
    environment: dict[str, str]

    @classmethod
    def copy(cls, folder: Path) -> "Project":
        for name in CODE:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / "project" / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                (folder / "project").mkdir(parents=True, exist_ok=True)
                shutil.copy(source, folder / "project" / name)
        return cls.on(folder / "project", folder)

    @classmethod
    def on(cls, code: Path, state: Path) -> "Project":
        """code: where the project lies; state: where store and cache go."""
        uri = f"sqlite:///{state}/mlflow.db"
        SqlAlchemyStore(uri, (state / "mlruns").as_uri())  # by itself it puts artifacts into the working folder: this tree
        own = {
            "MLFLOW_TRACKING_URI": uri,
            "CRYSTAL_EYES_CACHE": str(state / "cache"),
            "PATH": str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"],
            "OMP_WAIT_POLICY": "PASSIVE",
        }
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
        return cls(code, uri, {**clean, **own})

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.tracking_uri)

    def start(self, entry_point: str, parameters: dict, **environment: str) -> subprocess.Popen:
        """Start an entry point as MLflow's command for it does, without the seconds that `mlflow run` itself costs."""
        module = f"pipeline.{entry_point}" if entry_point in ("main", "sweep") else f"steps.{entry_point}"
        arguments = [text for name, value in parameters.items() for text in (f"--{name}", str(value))]
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, entry_point: str, parameters: dict, code: int = 0, **environment: str) -> str:
        """Run an entry point to its end; what it printed. Fails the test where the exit code is another."""
        process = self.start(entry_point, parameters, **environment)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == code, output
        return output

    def plan(self, parameters: dict) -> dict[str, tuple[str, list[str]]]:
        """The plan of a main: by step, its verdict (run or reuse) and the lines below it."""
        steps: dict[str, tuple[str, list[str]]] = {}
        for line in self.run("main", {**parameters, "plan": "true"}).splitlines():
            if line.startswith(("run ", "reuse ")):
                verdict, step = line.split("  (")[0].split(maxsplit=1)
                steps[step] = (verdict, [line])
            elif line.startswith("    ") and steps:
                steps[step][1].append(line.strip())
        return steps

    def runs(self, step: str) -> list[Run]:
        """Every run of a step that was recorded for the cache, newest first."""
        return self.client.search_runs(["0"], f"tags.`crystal_eyes.step` = '{step}'", order_by=["attributes.end_time DESC"])


@dataclass
class FinishedMain:
    """A main that `mlflow run` has brought to its end."""

    project: Project
    run_id: str
    experiment_id: str
    output: str

    @property
    def tracking_uri(self) -> str:
        return self.project.tracking_uri


def run_tiny_main(state: Path) -> FinishedMain:
    """The README's command on a tiny cast, in this very tree."""
    project = Project.on(ROOT, state)
    arguments = [text for name, value in TINY_MAIN.items() for text in ("-P", f"{name}={value}")]
    done = subprocess.run(
        ["mlflow", "run", ".", "-e", "main", "--env-manager", "local", *arguments],
        cwd=ROOT, env=project.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    (run,) = project.client.search_runs(["0"], "tags.`mlflow.runName` = 'main'")
    return FinishedMain(project, run.info.run_id, run.info.experiment_id, done.stdout)


@dataclass
class FinishedDetector:
    """A detector that its entry point has trained, and the folder of its labelled pictures."""

    project: Project
    folder: Path
    labels: Path
    output: str
    calls: str  # of the network, a line each

    @property
    def run(self) -> Run:
        return self.project.runs("detector")[0]


def draw_labelled(folder: Path, count: int = 9) -> Path:
    """A YOLO folder of composed scenes: images/ and labels/."""
    from crystal_eyes.detector.training import yolo_dataset
    from crystal_eyes.detector.training.cutouts import cast_cutouts
    from crystal_eyes.detector.training.scenes import compose_scenes

    yolo_dataset.write(folder, "own", compose_scenes(count, "own", [9, 9], cast_cutouts(2, characters=30)))
    return folder


# run in every Python process of the step: notes each look-up of a host and each connection
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


def run_tiny_detector(state: Path) -> FinishedDetector:
    """The entry point as MLflow's command starts it, in this very tree."""
    project, labels = Project.on(ROOT, state), draw_labelled(state / "labelled")
    (labels / "images" / "own" / "broken.jpg").write_bytes(b"no picture")
    (labels / "labels" / "own" / "broken.txt").write_text("0 0.5 0.5 0.1 0.1")
    (labels / "labels" / "own" / "nobody.txt").write_text("")
    calls = state / "calls.txt"
    (state / "watch").mkdir()
    (state / "watch" / "sitecustomize.py").write_text(WATCH.format(calls=str(calls)))
    output = project.run("detector", {**TINY_DETECTOR, "labels": labels}, PYTHONPATH=str(state / "watch"))
    (run,) = project.runs("detector")
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
    return FinishedDetector(project, artifacts / "detector", labels, output, calls.read_text())
