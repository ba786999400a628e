"""What the step detector computes, in this process, on a few small scenes."""

from pathlib import Path

import numpy as np
import pytest

from crystal_eyes.boxes import FACE_MARGINS, face_to_head
from crystal_eyes.detector.runtime import HeadDetector
from crystal_eyes.detector.training import yolo_dataset
from crystal_eyes.detector.training.annotated_pictures import AnnotatedPicture
from crystal_eyes.detector.training.cutouts import cast_cutouts
from crystal_eyes.detector.training.options import DetectorTrainingOptions
from crystal_eyes.detector.training.scenes import compose_scenes
from crystal_eyes.errors import UserError
from steps.compute import detector as computing
from steps.compute.detector import LabeledData, read_labeled, train_detector, write_data
from tests.runs import HEAD_DETECTOR, draw_heads

FEW = {"scenes": 4, "repeat": 2, "seed": 0, "validation_scenes": 2, "test_scenes": 2}
SIZES = (64, 96)


@pytest.fixture(autouse=True)
def small_cast(monkeypatch):
    monkeypatch.setattr(computing, "cast_cutouts", lambda part: cast_cutouts(part, characters=4))


@pytest.fixture(scope="module")
def labels(tmp_path_factory) -> Path:
    """A YOLO folder of 6 composed scenes."""
    folder = tmp_path_factory.mktemp("labels")
    yolo_dataset.write(folder, "own", compose_scenes(6, "own", [9, 9], cast_cutouts(2, characters=4)))
    return folder


def nothing() -> LabeledData:
    return read_labeled(None, None, FACE_MARGINS)


def names(data: Path, part: str) -> list[str]:
    return [Path(line).stem for line in (data / f"{part}.txt").read_text().split()]


def boxes_by_file(labeled: LabeledData) -> dict[str, AnnotatedPicture]:
    return {picture.file: picture for part in labeled.parts.values() for picture in part}


def test_faces_become_heads_and_labels_stay(labels):
    heads, faces = read_labeled(labels, None, FACE_MARGINS), read_labeled(None, labels, FACE_MARGINS)
    assert not heads.faces_and_heads and len(faces.faces_and_heads) == 6
    before, after = boxes_by_file(heads), boxes_by_file(faces)
    assert before.keys() == after.keys()
    for file, face in before.items():
        np.testing.assert_array_equal(after[file].boxes, face_to_head(face.boxes, FACE_MARGINS, *face.size))


def test_a_picture_labeled_twice_is_refused(labels):
    with pytest.raises(UserError, match="is in both labels and faces"):
        read_labeled(labels, labels, FACE_MARGINS)


def test_each_part_holds_its_labeled_pictures_and_scenes(labels, tmp_path):
    labeled = read_labeled(labels, None, FACE_MARGINS)
    assert write_data(tmp_path, labeled, None, None, **FEW) is None
    assert {part: len(some) for part, some in labeled.parts.items()} == {"test": 2, "val": 1, "train": 3}
    assert names(tmp_path, "test-labels") == ["label-000000", "label-000001"]
    assert names(tmp_path, "test-scenes") == ["scene-00000", "scene-00001"]
    assert names(tmp_path, "val") == ["label-000000", "scene-00000", "scene-00001"]
    train = names(tmp_path, "train")
    assert train.count("label-000002") == 2 and train.count("scene-00003") == 1 and len(train) == 3 * 2 + 4


def test_the_seed_changes_the_training_scenes_alone(tmp_path):
    folders = [tmp_path / str(seed) for seed in (0, 1)]
    for seed, folder in enumerate(folders):
        write_data(folder, nothing(), None, None, **{**FEW, "seed": seed})
    pictures = [
        {part: [one.pixels for one in yolo_dataset.read(folder, part)] for part in ("train", "val", "test-scenes")}
        for folder in folders
    ]

    def same(part: str) -> bool:
        return all(np.array_equal(one, other) for one, other in zip(pictures[0][part], pictures[1][part]))

    assert same("val") and same("test-scenes") and not same("train")


def test_head_pictures_are_counted(tmp_path):
    heads = draw_heads(tmp_path / "heads", characters=2, pictures=3)
    (heads / "broken.png").write_bytes(b"not a picture")
    pasted = write_data(tmp_path / "data", nothing(), heads, None, **FEW)
    assert (pasted.used, pasted.left_out) == (6, 1)


def test_an_interrupted_training_continues_with_its_pictures_after_its_last_epoch(tmp_path):
    options = DetectorTrainingOptions(epochs=3, image_size=64, batch_size=4)
    data, epochs = tmp_path / "data", []

    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
        epochs.append(epoch)
        assert all(np.isfinite(value) for value in metrics.values()) and {"map50", "box_loss"} <= metrics.keys()
        if epochs == [1, 2]:
            raise KeyboardInterrupt

    write_data(data, nothing(), None, None, **FEW)
    with pytest.raises(KeyboardInterrupt):
        train_detector(data, options, HEAD_DETECTOR, tmp_path, on_epoch, SIZES)
    written = {path: path.stat().st_mtime_ns for path in data.rglob("*.jpg")}
    assert write_data(data, nothing(), None, None, **FEW) is None
    trained = train_detector(data, options, HEAD_DETECTOR, tmp_path, on_epoch, SIZES)
    assert 1 not in epochs[2:] and epochs[-1] == 3
    assert written == {path: path.stat().st_mtime_ns for path in data.rglob("*.jpg")}

    assert sorted(path.name for path in trained.folder.iterdir()) == ["detector.onnx", "detector.safetensors"]
    assert [result.image_size for result in trained.sizes] == list(SIZES)
    assert HeadDetector(trained.folder).image_size == trained.image_size in SIZES
    assert {part: len(found) for part, found in trained.tests.items()} == {"test-scenes": 2, "test-labels": 0}
    for picture, found in zip(yolo_dataset.read(data, "test-scenes"), trained.tests["test-scenes"]):
        np.testing.assert_array_equal(found.truth, picture.boxes)
        np.testing.assert_array_equal(found.boxes, HeadDetector(trained.folder).detect(picture.pixels, 0.01)[0])
