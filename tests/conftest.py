"""Shared fixtures: a tiny dataset drawn here, what the first steps make of it, and the real pictures where they lie."""

from pathlib import Path

import pytest
import torch

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


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """No test reads or writes the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRYSTAL_EYES_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def characters_folder(tmp_path_factory) -> Path:
    """A folder a character: 8 characters of 6 pictures, 48 x 48 pixels."""
    return draw_heads(tmp_path_factory.mktemp("characters"))


@pytest.fixture(scope="session")
def tiny_main(tmp_path_factory) -> FinishedMain:
    """A main on a tiny cast, finished, in a store of its own."""
    return run_tiny_main(tmp_path_factory.mktemp("tiny_main"))


@pytest.fixture(scope="session")
def tiny_detector(tmp_path_factory) -> FinishedDetector:
    """A detector trained for a moment on scenes of the cast, in a store of its own."""
    return run_tiny_detector(tmp_path_factory.mktemp("tiny_detector"))


@pytest.fixture(scope="session")
def catalogue_folder(characters_folder, tmp_path_factory) -> Path:
    """The catalogue of characters_folder: 4 characters to learn from, 2 to choose an epoch on, 2 kept for testing."""
    table, _ = read_dataset(characters_folder, 0.85)
    table, dropped = select(table, SelectionOptions(), seed=0)
    assert not dropped, dropped
    splits = SplitOptions(train_per_character=4, test_per_character=2, validation_characters=0.25, test_characters=0.25)
    table = assign_splits(table, splits, seed=0)
    folder = tmp_path_factory.mktemp("prepared") / "catalogue"
    write(folder, table, [head_bytes(path, box) for path, box in zip(table["path"], table["box"])])
    return folder


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
def exported(tmp_path_factory) -> tuple[Encoder, Path]:
    """An encoder in evaluation mode and its ONNX file."""
    encoder = new_encoder(training_catalogue="0123").eval()
    path = tmp_path_factory.mktemp("exported") / "onnx" / "encoder.onnx"
    export_onnx(encoder, path)
    return encoder, path


@pytest.fixture(scope="session")
def bundle_folder(catalogue_folder, exported, tmp_path_factory) -> Path:
    """A bundle of the 8 drawn characters; nobody writes into it."""
    return make_bundle(tmp_path_factory.mktemp("bundled") / "bundle", Catalogue(catalogue_folder), exported[1])


@pytest.fixture(scope="session")
def real_characters() -> Path:
    """Real head pictures (shared/data/characters), which are not part of the repository."""
    folder = ROOT / "../shared/data/characters"
    if not folder.is_dir():
        pytest.skip("the real pictures are not on this machine")
    return folder.resolve()
