"""A folder of pictures with one head each, and what a collection holds of them."""

import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crystal_eyes.collection import Collection
from crystal_eyes.recognizer import Recognizer
from tests.runs import draw_head


@pytest.fixture(scope="session")
def recognizer(bundle_folder: Path) -> Recognizer:
    return Recognizer.load(bundle_folder, threads=1)


def draw(path: Path, character: int, number: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_head(character, number).resize((160, 160)).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six pictures, two of them in a folder below."""
    for number in range(4):
        draw(tmp_path / "pictures" / f"{number}.png", number, 0)
    for number in range(2):
        draw(tmp_path / "pictures" / "more" / f"{number}.png", number, 1)
    return tmp_path / "pictures"


@pytest.fixture
def archive(tmp_path: Path) -> Callable[..., Path]:
    """archive(name, **members): a ZIP file; a member is bytes, or (character, number) of a drawn head."""

    def make(file: str, members: dict[str, bytes | tuple[int, int]]) -> Path:
        with zipfile.ZipFile(tmp_path / file, "w", zipfile.ZIP_DEFLATED) as opened:
            for name, content in members.items():
                opened.writestr(name, content if isinstance(content, bytes) else drawn_bytes(tmp_path, *content))
        return tmp_path / file

    return make


def drawn_bytes(tmp_path: Path, character: int, number: int) -> bytes:
    return draw(tmp_path / "drawn" / f"{character} {number}.png", character, number).read_bytes()


class Contents:
    """Every head of a collection by its picture and box, and its embedding. Equal if each head is there as often, with the
    same embedding but for the rounding that comes of other batches."""

    def __init__(self, collection: Collection):
        self.heads: Counter = Counter()
        self.embeddings: dict[object, np.ndarray] = {}
        for batch in collection.batches(3):
            for row in range(len(batch)):
                key = str(batch.places[row]), batch.digests[row], tuple(batch.boxes[row].tolist())
                self.heads[key] += 1
                self.embeddings[key] = batch.embeddings[row]

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Contents)
            and self.heads == other.heads
            and all(one @ other.embeddings[key] > 0.995 for key, one in self.embeddings.items())
        )


def places(collection: Collection) -> list[str]:
    return sorted(str(place) for batch in collection.batches() for place in batch.places)


def write_video(path: Path, seconds: int, rate: int = 4) -> Path:
    """A video whose picture changes every two seconds, one drawn head at a time."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width = stream.height = 160
        stream.bit_rate = 8_000_000
        for number in range(seconds * rate):
            picture = np.asarray(draw_head(number // (2 * rate), 0).resize((160, 160), Image.Resampling.BICUBIC))
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path
