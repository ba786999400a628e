import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from crystal_eyes.detector.training import yolo_dataset
from crystal_eyes.detector.training.cutouts import cast_cutouts
from crystal_eyes.detector.training.options import DetectorTrainingOptions
from crystal_eyes.detector.training.scenes import compose_scenes
from crystal_eyes.detector.training.trainer import CirclesTransform, train
from crystal_eyes.detector.training.weights import WEIGHTS
from tests.runs import ROOT

OPTIONS = DetectorTrainingOptions(epochs=1, image_size=64, batch_size=4)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder, draw_cutout = tmp_path_factory.mktemp("data"), cast_cutouts(0, characters=6)
    for part in ("train", "val"):
        yolo_dataset.write(folder, part, compose_scenes(4, "scene", [1, 1], draw_cutout))
    return folder


def test_a_training_that_was_through_when_the_step_broke_off_is_not_repeated(data, tmp_path):
    epochs = []
    out = train(data, OPTIONS, None, tmp_path, lambda epoch, metrics: epochs.append(epoch))
    first = (out / WEIGHTS).read_bytes()
    assert epochs == [1]
    assert train(data, OPTIONS, None, tmp_path, lambda epoch, metrics: epochs.append(epoch)) == out
    out.rename(tmp_path / "gone")  # broken off before the weights were written
    again = train(data, OPTIONS, None, tmp_path, lambda epoch, metrics: epochs.append(epoch))
    assert epochs == [1] and (again / WEIGHTS).read_bytes() == first


def test_the_seed_decides_the_weights(data, tmp_path):
    runs = [train(data, replace(OPTIONS, seed=seed), None, tmp_path / name, lambda *_: None) / WEIGHTS
            for name, seed in (("a", 3), ("b", 3), ("c", 4))]  # fmt: skip
    first, same, other = (path.read_bytes() for path in runs)
    assert first == same != other


def test_circles_are_drawn_over_the_heads_of_a_training_picture():
    from ultralytics.utils.instance import Instances

    picture = np.full((80, 100, 3), 128, np.uint8)
    boxes = Instances(
        np.array([[0.5, 0.5, 0.2, 0.25]], np.float32), np.zeros((0, 1000, 2)), bbox_format="xywh", normalized=True
    )
    labels = CirclesTransform(seed=0)({"img": picture, "instances": boxes})
    rows, columns = np.nonzero((labels["img"] != 128).any(axis=2))
    assert len(rows) and rows.min() + 5 >= 30 and rows.max() <= 55 and columns.min() >= 35 and columns.max() <= 65
    np.testing.assert_allclose(labels["instances"].bboxes, [[40, 30, 60, 50]], rtol=1e-6)
    assert (picture == 128).all()


def test_training_uses_the_cores_that_torch_has():
    code = "import tempfile, torch, pathlib; from crystal_eyes.detector.training.trainer import prepare_ultralytics as p; "
    code += "torch.set_num_threads(2); p(pathlib.Path(tempfile.mkdtemp())); import os; print(torch.get_num_threads(), "
    code += "os.environ.get('OMP_NUM_THREADS'))"
    free = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    for given, expected in (({}, "2 None"), ({"OMP_NUM_THREADS": "1"}, "2 1")):
        done = subprocess.run([sys.executable, "-c", code], env={**free, **given}, cwd=ROOT, capture_output=True, text=True)
        assert done.stdout.strip() == expected, done.stderr
