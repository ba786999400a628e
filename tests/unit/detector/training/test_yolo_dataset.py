from pathlib import Path

import numpy as np
import pytest

from crystal_eyes.boxes import as_boxes
from crystal_eyes.detector.training.yolo_dataset import read, write

SHAPES = [(480, 640), (31, 57), (1000, 3)]


def some_pictures():
    rng = np.random.default_rng(0)
    for number, (height, width) in enumerate(SHAPES):
        picture = np.full((height, width, 3), rng.integers(0, 256, 3), np.uint8)
        corners = np.sort(rng.uniform(0, 1, (4, 2, 2)), axis=1).reshape(-1, 4)
        yield f"p-{number}", picture, as_boxes(corners * [width, height, width, height])
    yield "no-head", np.zeros((50, 50, 3), np.uint8), as_boxes([])


def test_pictures_are_read_as_they_were_written(tmp_path):
    assert write(tmp_path, "train", some_pictures()) == 4
    for (name, picture, boxes), (expected, before, truth) in zip(read(tmp_path, "train"), some_pictures(), strict=True):
        assert name == expected and picture.shape == before.shape and boxes.dtype == np.float32
        assert np.abs(picture.astype(int) - before).max() <= 6  # JPEG loses a little; the channels keep their order
        assert boxes.shape == truth.shape
        np.testing.assert_allclose(boxes, truth, atol=0.01)


def test_the_layout_is_that_of_yolo(tmp_path):
    write(tmp_path, "val", [("a", np.zeros((50, 100, 3), np.uint8), as_boxes([[10, 5, 30, 25]]))])
    assert (tmp_path / "labels/val/a.txt").read_text().split() == "0 0.200000 0.300000 0.200000 0.400000".split()
    (line,) = (tmp_path / "val.txt").read_text().split()
    assert (tmp_path / line).samefile(tmp_path / "images/val/a.jpg")


def test_repeated_pictures_are_listed_again_and_read_once(tmp_path):
    assert write(tmp_path, "train", some_pictures(), lambda name: 3 if name == "p-1" else 1) == 4
    stems = [Path(line).stem for line in (tmp_path / "train.txt").read_text().split()]
    assert sorted(stems) == ["no-head", "p-0", "p-1", "p-1", "p-1", "p-2"]
    assert [name for name, _, _ in read(tmp_path, "train")] == ["p-0", "p-1", "p-2", "no-head"]
    assert [name for name, _, _ in read(tmp_path, "train", step=2)] == ["p-0", "p-2"]


def test_a_part_is_listed_only_when_all_its_pictures_are_there(tmp_path):
    def broken():
        yield from some_pictures()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, "train", broken())
    assert not (tmp_path / "train.txt").exists()


def test_a_part_without_pictures_is_an_empty_one(tmp_path):
    assert write(tmp_path, "test", []) == 0 and list(read(tmp_path, "test")) == []
