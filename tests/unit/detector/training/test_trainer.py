import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from crystal_eyes.detector.training import yolo_dataset
from crystal_eyes.detector.training.cutouts import cast_cutouts
from crystal_eyes.detector.training.options import DetectorTrainingOptions
from crystal_eyes.detector.training.scenes import compose_scenes
from crystal_eyes.detector.training.trainer import CirclesTransform, build, prepare_ultralytics, train
from crystal_eyes.detector.training.weights import WEIGHTS, scale_boxes
from crystal_eyes.errors import UserError
from tests.runs import ROOT

OPTIONS = DetectorTrainingOptions(epochs=1, image_size=64, batch_size=4)


@dataclass
class FinishedTraining:
    folder: Path  # the workspace
    epochs: list[int]  # as on_epoch was called
    weights: bytes


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder, draw_cutout = tmp_path_factory.mktemp("data"), cast_cutouts(0, characters=6)
    for part in ("train", "val"):
        yolo_dataset.write(folder, part, compose_scenes(4, "scene", [1, 1], draw_cutout))
    return folder


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory) -> FinishedTraining:
    folder, epochs = tmp_path_factory.mktemp("finished"), []
    out = train(data, OPTIONS, None, folder, lambda epoch, _: epochs.append(epoch))
    return FinishedTraining(folder, epochs, (out / WEIGHTS).read_bytes())


def test_a_finished_training_is_not_repeated(finished, data):
    epochs: list[int] = []
    out = train(data, OPTIONS, None, finished.folder, lambda epoch, _: epochs.append(epoch))
    assert out == finished.folder / "detector" and (out / WEIGHTS).read_bytes() == finished.weights
    shutil.rmtree(out)  # as if interrupted before the weights were written
    again = train(data, OPTIONS, None, finished.folder, lambda epoch, _: epochs.append(epoch))
    assert (again / WEIGHTS).read_bytes() == finished.weights
    assert finished.epochs == [1] and epochs == []


def test_the_seed_decides_the_weights(finished, data, tmp_path):
    same, other = (
        (train(data, replace(OPTIONS, seed=seed), None, tmp_path / str(seed), lambda *_: None) / WEIGHTS).read_bytes()
        for seed in (OPTIONS.seed, 4)
    )
    assert finished.weights == same != other


def test_circles_are_drawn_over_the_heads_of_most_training_pictures():
    from ultralytics.utils.instance import Instances

    picture, circled, transform = np.full((80, 100, 3), 128, np.uint8), 0, CirclesTransform(seed=0)
    for _ in range(100):
        boxes = Instances(
            np.array([[0.5, 0.5, 0.2, 0.25]], np.float32), np.zeros((0, 1000, 2)), bbox_format="xywh", normalized=True
        )
        labels = transform({"img": picture, "instances": boxes})
        rows, columns = np.nonzero((labels["img"] != 128).any(axis=2))
        if len(rows):
            circled += 1
            assert rows.min() + 5 >= 30 and rows.max() <= 55 and columns.min() >= 35 and columns.max() <= 65
            np.testing.assert_allclose(labels["instances"].bboxes, [[40, 30, 60, 50]], rtol=1e-6)
        assert (picture == 128).all()
    assert 40 < circled < 80


def test_training_uses_the_cores_that_torch_has():
    """Importing ultralytics would leave one core and set OMP_NUM_THREADS for all child processes."""
    code = """
import os, pathlib, tempfile, torch
from crystal_eyes.detector.training.trainer import prepare_ultralytics
torch.set_num_threads(2)
prepare_ultralytics(pathlib.Path(tempfile.mkdtemp()))
print(torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS"))
"""
    unset = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", code], env=unset, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "2 None", done.stderr


def test_a_number_of_threads_that_the_user_set_stays(monkeypatch, tmp_path):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    threads = torch.get_num_threads()
    prepare_ultralytics(tmp_path)
    assert os.environ["OMP_NUM_THREADS"] == "3" and torch.get_num_threads() == threads


def test_scaled_boxes_have_their_factor_until_they_are_trained_again(finished, data, tmp_path):
    trained, scaled = tmp_path / "trained.safetensors", tmp_path / "scaled.safetensors"
    trained.write_bytes(finished.weights)
    scale_boxes(trained, scaled, 0.5)
    picture = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before, after = (build(OPTIONS.architecture, path, tmp_path / "settings")(picture)[0] for path in (trained, scaled))
    torch.testing.assert_close(after[:, 2:4], before[:, 2:4] / 2, rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(after[:, 4], before[:, 4])
    again = load_file(train(data, replace(OPTIONS, epochs=1), scaled, tmp_path / "again", lambda *_: None) / WEIGHTS)
    (distances,) = (value for name, value in again.items() if name.endswith("dfl.conv.weight"))
    assert distances.flatten().tolist() == list(range(distances.numel()))


def test_boxes_of_other_files_are_not_scaled(tmp_path):
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    for name in ("broken", "other", "missing"):
        with pytest.raises(UserError, match=name):
            scale_boxes(tmp_path / f"{name}.safetensors", tmp_path / "out.safetensors", 0.9)
    assert not (tmp_path / "out.safetensors").exists()
