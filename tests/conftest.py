"""How the suite runs (one worker per core, the longest files first), and shared fixtures."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

# Before torch is imported, and inherited by every process that a test starts: workers whose thread pools compete for the
# same cores run at a fraction of their speed.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
import torch
from filelock import FileLock

from crystal_eyes.data.catalogue import Catalogue, write
from crystal_eyes.data.cropping import head_bytes
from crystal_eyes.data.layouts import read_dataset
from crystal_eyes.data.options import SelectionOptions, SplitOptions
from crystal_eyes.data.selection import select
from crystal_eyes.data.splits import assign_splits
from crystal_eyes.encoder.network import Encoder, EncoderDescription
from crystal_eyes.encoder.onnx_export import export_onnx
from tests.bundles import make_bundle
from tests.runs import ROOT, FinishedDetector, FinishedMain, draw_heads, run_tiny_detector, run_tiny_main

TESTS = Path(__file__).parent
# Files whose tests train or start processes, the longest first: marked slow, and started first, so that all workers, which
# take whole files, finish at about the same time. A folder among them is only started early.
LONG = (
    "pipeline/steps/test_bundle.py",
    "pipeline/steps/test_detector.py",
    "pipeline/test_interruptions.py",
    "pipeline/steps/test_entry_points.py",
    "pipeline/test_cache_rules.py",
    "pipeline/sweeps/test_sweep.py",
    "pipeline/test_team.py",
    "pipeline/notebooks/test_what_the_encoder_learned.py",
    "pipeline/notebooks/test_compare_runs.py",
    "browser/",
    "unit/fleet/test_fleet.py",
    "unit/collection/test_index_on_cluster.py",
    "unit/encoder/test_processes.py",
    "unit/detector/training/test_trainer.py",
    "unit/detector/training/test_parity.py",
    "unit/test_packaging.py",
    "pipeline/",
    "unit/encoder/",
    "unit/recognizer/",
)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One worker per core; none for single files, whose tests take less time than starting workers."""
    if all(Path(argument.split("::")[0]).is_file() for argument in config.args):
        return 0
    return len(os.sched_getaffinity(0))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their file and by what they need, and put the longest files first."""

    def named(item: pytest.Item) -> str:
        return item.path.relative_to(TESTS).as_posix()

    def rank(item: pytest.Item) -> int:
        return next((n for n, start in enumerate(LONG) if named(item).startswith(start)), len(LONG))

    for item in items:
        folder = named(item).split("/")[0]
        if folder in ("pipeline", "browser"):
            item.add_marker(folder)
        if {"tiny_main", "tiny_detector"} & set(getattr(item, "fixturenames", ())) or named(item) in LONG:
            item.add_marker("slow")
    items.sort(key=rank)  # stable: within a file the order stays


@pytest.fixture(scope="session", autouse=True)
def isolated_state(tmp_path_factory):
    """No test reads or writes the user's cache folder, tracking store or enrolled characters."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRYSTAL_EYES_CACHE", str(folder / "cache"))
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        patch.setenv("XDG_DATA_HOME", str(folder / "data"))
        yield


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Callable[[str, Callable[[Path], object]], Path]:
    """made_once(name, make): a folder that make(folder) has filled, once for all workers. Tests must not write into it."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # every worker has a folder of its own below this one

    def once(name: str, make: Callable[[Path], object]) -> Path:
        folder, done = base / name, base / f"{name}.done"
        with FileLock(base / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # left by a failed attempt
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return once


@pytest.fixture(scope="session")
def characters_folder(made_once) -> Path:
    """A dataset with one folder per character: 8 characters with 6 pictures each, 48 x 48 pixels."""
    return made_once("characters", draw_heads)


@pytest.fixture(scope="session")
def tiny_main(made_once) -> FinishedMain:
    """A finished run of main on a tiny cast, in its own store; use `tiny_main.project.fork` to change runs or aliases."""
    return FinishedMain.read(made_once("tiny_main", run_tiny_main))


@pytest.fixture(scope="session")
def tiny_detector(made_once) -> FinishedDetector:
    """A detector trained briefly on scenes of the cast, in its own store."""
    return FinishedDetector.read(made_once("tiny_detector", run_tiny_detector))


@pytest.fixture(scope="session")
def catalogue_folder(characters_folder, made_once) -> Path:
    """The catalogue of characters_folder: 4 characters to train on, 2 for validation, 2 for testing."""

    def make(folder: Path) -> None:
        table, _ = read_dataset(characters_folder, 0.85)
        table, dropped = select(table, SelectionOptions(), seed=0)
        assert not dropped, dropped
        splits = SplitOptions(train_per_character=4, test_per_character=2, validation_characters=0.25, test_characters=0.25)
        table = assign_splits(table, splits, seed=0)
        write(folder / "catalogue", table, [head_bytes(path, box) for path, box in zip(table["path"], table["box"])])

    return made_once("prepared", make) / "catalogue"


@pytest.fixture
def catalogue(catalogue_folder) -> Catalogue:
    return Catalogue(catalogue_folder)


def new_encoder(seed: int = 0, **changes) -> Encoder:
    """A small untrained encoder; the same seed, the same weights."""
    torch.manual_seed(seed)
    return Encoder(EncoderDescription(**{"backbone": "mnasnet_small", "embedding_size": 16, "image_size": 32, **changes}))


@pytest.fixture(scope="session")
def make_encoder():
    return new_encoder


@pytest.fixture(scope="session")
def exported(made_once) -> tuple[Encoder, Path]:
    """An encoder in evaluation mode and its ONNX file."""
    encoder = new_encoder(training_catalogue="0123").eval()
    folder = made_once("exported", lambda folder: export_onnx(encoder, folder / "onnx" / "encoder.onnx"))
    return encoder, folder / "onnx" / "encoder.onnx"


@pytest.fixture(scope="session")
def bundle_folder(catalogue_folder, exported, made_once) -> Path:
    """A bundle of the 8 drawn characters; tests that change it copy it first."""
    folder = made_once("bundled", lambda folder: make_bundle(folder / "bundle", Catalogue(catalogue_folder), exported[1]))
    return folder / "bundle"


@pytest.fixture(scope="session")
def real_characters() -> Path:
    """Real head pictures (shared/data/characters), which are not part of the repository."""
    folder = ROOT / "../shared/data/characters"
    if not folder.is_dir():
        pytest.skip("the real pictures are not on this machine")
    return folder.resolve()
