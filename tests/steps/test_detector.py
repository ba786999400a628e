"""The entry points detector and crop, and main from illustrations, as a person runs them."""

import shutil
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from crystal_eyes.detector import dataset
from crystal_eyes.detector.cropping import crop_head
from crystal_eyes.detector.runner import HeadDetector
from tests.runs import ROOT, TINY, TINY_DETECTOR, Project


def artifact(project: Project, run, name: str) -> Path:
    return Path(mlflow.artifacts.download_artifacts(
        run_id=run.info.run_id, artifact_path=name, tracking_uri=project.tracking_uri))  # fmt: skip


@pytest.fixture(scope="module")
def illustrations(tmp_path_factory) -> Path:
    """Whole pictures of 4 characters, 3 with one head each, one with nobody: a folder a character."""
    folder, take = tmp_path_factory.mktemp("illustrations"), dataset.drawn_heads(11, characters=4)
    from crystal_eyes.detector.scenes import Scene, background

    for character in range(4):
        home = folder / f"Character {character}"
        home.mkdir()
        for number in range(4):
            rng = np.random.default_rng([character, number])
            scene = Scene(background(rng, 200, 160))
            if number < 3:
                scene.paste(take(np.random.default_rng(character)), (100, 80), 100, 0, False)
            Image.fromarray(scene.picture).save(home / f"{number}.png")
    return folder


def test_detector_logs_epochs_measures_and_pictures(tiny_detector):
    project, run = tiny_detector.project, tiny_detector.run
    for metric in ("map50", "map50_95", "precision", "recall", "box_loss", "class_loss", "distribution_loss"):
        history = project.client.get_metric_history(run.info.run_id, metric)
        assert [entry.step for entry in history] == [1, 2] and all(np.isfinite(entry.value) for entry in history)
    for part in ("test_scenes", "test_labels"):
        assert 0 <= run.data.metrics[f"{part}_ap75"] <= run.data.metrics[f"{part}_ap50"] <= 1
        assert Image.open(artifact(project, run, f"{part}.png")).width > 300
    assert Image.open(artifact(project, run, "training_pictures.png")).width > 300
    sizes = pd.read_csv(artifact(project, run, "sizes.csv"))
    assert HeadDetector(tiny_detector.folder).image_size == run.data.metrics["image_size"] in set(sizes["image_size"])
    assert "CC BY 4.0" in artifact(project, run, "credits.txt").read_text()


def test_detector_names_what_it_left_out_and_goes_on(tiny_detector):
    left_out = pd.read_csv(artifact(tiny_detector.project, tiny_detector.run, "left_out.csv"))
    assert set(left_out["file"]) == {"own/broken.jpg", "labels/own/nobody.txt"}
    assert "left out 1: labels without a picture" in tiny_detector.output
    assert tiny_detector.run.data.metrics["labelled_pictures"] == 9


def test_detector_writes_nothing_but_its_results(tiny_detector):
    assert sorted(path.name for path in tiny_detector.folder.iterdir()) == ["detector.onnx", "detector.safetensors"]
    assert not (ROOT / "runs").exists() and not list(ROOT.glob("yolo*.pt"))
    assert not list((Path(tiny_detector.project.environment["CRYSTAL_EYES_CACHE"]) / "work").iterdir())
    assert (tiny_detector.folder / "detector.onnx").stat().st_size < 8e6


def test_an_interrupted_training_goes_on_at_its_last_epoch(tiny_detector, tmp_path):
    project = Project.on(ROOT, tmp_path)
    parameters = {**TINY_DETECTOR, "detector_epochs": 3, "seed": 5}
    process, seen = project.start("detector", parameters), []
    for line in process.stdout:
        seen.append(line)
        if line.startswith("epoch 2/3"):
            process.terminate()
            break
    rest, _ = process.communicate(timeout=120)
    assert process.returncode == 130 and "interrupted" in rest, "".join(seen) + rest
    output = project.run("detector", parameters)
    assert "epoch 3/3" in output and "epoch 1/3" not in output and "compose scenes" not in output


def test_detector_trains_from_faces_and_pasted_heads_and_from_weights(tiny_detector, characters_folder, tmp_path):
    project = Project.on(ROOT, tmp_path)
    project.run("detector", {
        **TINY_DETECTOR, "detector_epochs": 1, "faces": tiny_detector.labels, "heads": characters_folder, "circles": "false",
        "detector_weights": tiny_detector.folder,
    })  # fmt: skip
    (run,) = project.runs("detector")
    assert run.data.metrics["heads"] == 48 and run.data.metrics["labelled_pictures"] == 9
    assert Image.open(artifact(project, run, "faces_to_heads.png")).width > 300


@pytest.mark.parametrize(
    ("parameters", "line"),
    [
        ({"scenes": 0}, "nothing to train on: give labels or faces, or scenes above 0"),
        ({"labels": "nowhere"}, "nowhere does not exist"),
        ({"faces": "{labels}", "face_margins": "much"}, "face_margins=much: give left,top,right,bottom"),
        ({"architecture": "yolov9"}, "architecture=yolov9: choose one of yolov5n, yolov5s"),
    ],
)
def test_detector_says_in_one_line_what_is_wrong(tiny_detector, tmp_path, parameters, line):
    given = {name: str(value).format(labels=tiny_detector.labels) for name, value in parameters.items()}
    output = Project.on(ROOT, tmp_path).run("detector", given, code=1)
    assert line in output and "Traceback" not in output


def test_crop_cuts_the_heads_by_the_rule_and_keeps_the_labels(tiny_detector, illustrations, tmp_path):
    project = Project.on(ROOT, tmp_path)
    sure = str(confidence_of_most(tiny_detector.folder, illustrations))
    project.run("crop", {"illustrations": illustrations, "detector": tiny_detector.folder, "several": "largest",
                         "least_confidence": sure})  # fmt: skip
    (run,) = project.runs("crop")
    table = pd.read_csv(artifact(project, run, "heads") / "manifest.csv")
    metrics, left_out = run.data.metrics, pd.read_csv(artifact(project, run, "left_out.csv"))
    assert metrics["pictures_without_head"] + metrics["pictures_with_one_head"] + metrics["pictures_with_several_heads"] == 16
    assert metrics["heads"] == len(table) == 16 - len(left_out) > 0
    for row in table.itertuples():
        assert row.character == row.illustration.split("/")[0] and row.artwork == row.illustration
        picture = np.asarray(Image.open(illustrations / row.illustration))
        cut = np.asarray(Image.open(artifact(project, run, "heads") / row.file))
        boxes, scores = HeadDetector(tiny_detector.folder).detect(picture, float(sure))
        best = boxes[(boxes[:, 2:] - boxes[:, :2]).prod(axis=1).argmax()]
        assert np.array_equal(cut, crop_head(picture, best))


def confidence_of_most(detector: Path, illustrations: Path) -> float:
    """A confidence at which this hardly trained detector finds a head in most pictures."""
    best = [
        HeadDetector(detector).detect(np.asarray(Image.open(p)), 0.0001)[1].max(initial=0) for p in illustrations.rglob("*.png")
    ]
    return max(0.01, round(float(np.quantile(best, 0.3)), 4))


def test_several_heads_under_one_label_are_left_out_and_counted(tiny_detector, illustrations, tmp_path):
    project = Project.on(ROOT, tmp_path)
    output = project.run(
        "crop", {"illustrations": illustrations, "detector": tiny_detector.folder, "least_confidence": 0.9}, code=1
    )
    assert "no head was cut from" in output and "lower least_confidence" in output
    assert "left out 16: no head found" in output
    one = tmp_path / "one"
    shutil.copytree(illustrations / "Character 0", one / "Character 0")
    low = {"illustrations": one, "detector": tiny_detector.folder, "least_confidence": 0.01}
    boxes = [len(HeadDetector(tiny_detector.folder).detect(np.asarray(Image.open(p)), 0.01)[0]) for p in one.rglob("*.png")]
    if max(boxes) > 1:
        several = sum(count > 1 for count in boxes)
        output = project.run("crop", low, code=0 if 1 in boxes else 1)
        assert output.count("several heads found under one label") >= 1
        assert project.run("crop", {**low, "several": "all"}) and several
        assert project.runs("crop")[0].data.metrics["heads"] == sum(boxes)


def test_main_goes_from_illustrations_through_a_given_detector(tiny_detector, illustrations, tmp_path):
    project = Project.on(ROOT, tmp_path)
    sure = confidence_of_most(tiny_detector.folder, illustrations)
    parameters = {**TINY, "illustrations": illustrations, "detector": tiny_detector.folder, "several": "largest",
                  "least_confidence": sure, "near_duplicate_bits": -1}  # fmt: skip
    output = project.run("main", parameters)
    assert "crop: done" in output and "top-5" in output and "detector: runs" not in output
    again = project.plan(parameters)
    assert again["crop"][0] == again["prepare"][0] == "reuse" and "detector" not in again
    assert project.plan({**parameters, "detector": ""})["detector"][0] == "run"


def test_main_refuses_heads_and_illustrations_together(illustrations, characters_folder, tmp_path):
    project = Project.on(ROOT, tmp_path)
    output = project.run("main", {"illustrations": illustrations, "dataset": characters_folder}, code=1)
    assert "dataset and illustrations are both given" in output and "Traceback" not in output
    assert "detector is given without illustrations" in project.run("main", {"detector": "nowhere"}, code=1)
