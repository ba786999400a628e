"""Shared fixtures: a tiny dataset drawn here, what the first steps make of it, and the real pictures where they lie."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from crystal_eyes.catalogue import Catalogue, write
from crystal_eyes.datasets import read_dataset
from crystal_eyes.encoder import Description, Encoder
from crystal_eyes.onnx_export import export_onnx
from crystal_eyes.selection import head_bytes, select
from crystal_eyes.splits import assign_splits

ROOT = Path(__file__).resolve().parents[1]
CHARACTERS, PICTURES, SIDE = 8, 6, 48


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """No test reads or writes the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRYSTAL_EYES_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


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


@pytest.fixture(scope="session")
def characters_folder(tmp_path_factory) -> Path:
    """A folder a character: 8 characters of 6 pictures, 48 x 48 pixels."""
    root = tmp_path_factory.mktemp("characters")
    for character in range(CHARACTERS):
        home = root / f"Character {character}"
        home.mkdir()
        for number in range(PICTURES):
            draw_head(character, number).save(home / f"{number}.png")
    return root


@pytest.fixture(scope="session")
def catalogue_folder(characters_folder, tmp_path_factory) -> Path:
    """The catalogue of characters_folder: 4 characters to learn from, 2 to choose an epoch on, 2 kept for testing."""
    table, _ = read_dataset(characters_folder, 0.85)
    table, dropped = select(table, min_pictures=2, pictures_per_character=0, near_duplicate_bits=6, seed=0)
    assert not dropped, dropped
    table = assign_splits(
        table, train_per_character=4, test_per_character=2, validation_characters=0.25, test_characters=0.25, seed=0
    )
    folder = tmp_path_factory.mktemp("prepared") / "catalogue"
    write(folder, table, [head_bytes(path, box) for path, box in zip(table["path"], table["box"])])
    return folder


@pytest.fixture
def catalogue(catalogue_folder) -> Catalogue:
    return Catalogue(catalogue_folder)


def new_encoder(seed: int = 0, **changes) -> Encoder:
    """A small untrained encoder; the same seed, the same weights."""
    torch.manual_seed(seed)
    return Encoder(Description(**{"backbone": "mnasnet_small", "embedding_size": 16, "image_size": 32, **changes}))


@pytest.fixture(scope="session")
def make_encoder():
    return new_encoder


@pytest.fixture(scope="session")
def exported(tmp_path_factory) -> tuple[Encoder, Path]:
    """An encoder in evaluation mode and its ONNX file."""
    encoder = new_encoder(training_catalogue="0123").eval()
    path = tmp_path_factory.mktemp("exported") / "onnx" / "encoder.onnx"
    export_onnx(encoder, path, {"source_run": "abc"})
    return encoder, path


@pytest.fixture(scope="session")
def real_characters() -> Path:
    """Real head pictures (shared/data/characters), which are not part of the repository."""
    folder = ROOT / "../shared/data/characters"
    if not folder.is_dir():
        pytest.skip("the real pictures are not on this machine")
    return folder.resolve()
