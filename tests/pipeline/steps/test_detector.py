"""The entry points detector and crop, and main from illustrations, as a user runs them."""

from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from crystal_eyes.data.cropping import crop_head
from crystal_eyes.detector.runtime import HeadDetector
from crystal_eyes.detector.training.backgrounds import synthetic_background
from crystal_eyes.detector.training.canvas import Scene
from crystal_eyes.detector.training.cutouts import cast_cutouts
from tests.runs import HEAD_DETECTOR, ROOT, TINY, Project


def artifact(project: Project, run, name: str) -> Path:
    return Path(mlflow.artifacts.download_artifacts(
        run_id=run.info.run_id, artifact_path=name, tracking_uri=project.tracking_uri))  # fmt: skip


@pytest.fixture(scope="module")
def illustrations(tmp_path_factory) -> Path:
    """A folder of whole pictures for each of 4 characters: 3 with one head each, one without."""
    folder, draw_cutout = tmp_path_factory.mktemp("illustrations"), cast_cutouts(1, characters=4)
    for character in range(4):
        home = folder / f"Character {character}"
        home.mkdir()
        for number in range(4):
            rng = np.random.default_rng([7, character, number])
            scene = Scene(synthetic_background(rng, 200, 160))
            if number < 3:
                scene.paste(draw_cutout(np.random.default_rng(character)), (100, 80), 100, 0, False)
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


def test_detector_makes_no_network_call(tiny_detector):
    assert set(tiny_detector.calls.splitlines()) == {"watching"}


@pytest.mark.parametrize(
    ("parameters", "line"),
    [
        ({"scenes": 0}, "nothing to train on: give labels or faces, or scenes above 0"),
        ({"labels": "nowhere"}, "nowhere does not exist"),
        ({"faces": "{labels}", "face_margins": "much"}, "face_margins=much: give four numbers as left,top,right,bottom"),
        ({"architecture": "yolov9"}, "architecture=yolov9: choose one of yolov5n, yolov5s"),
    ],
)
def test_detector_says_in_one_line_what_is_wrong(tiny_detector, tmp_path, parameters, line):
    given = {name: str(value).format(labels=tiny_detector.labels) for name, value in parameters.items()}
    output = Project.on(ROOT, tmp_path).run("detector", given, code=1)
    assert line in output and "Traceback" not in output


def test_crop_cuts_heads_by_the_crop_rule_and_keeps_the_labels(illustrations, tmp_path):
    project = Project.on(ROOT, tmp_path)
    output = project.run("crop", {"illustrations": illustrations, "detector": HEAD_DETECTOR})
    (run,) = project.runs("crop")
    table, metrics = pd.read_csv(artifact(project, run, "heads") / "manifest.csv"), run.data.metrics
    assert not {"left", "top", "right", "bottom"} & set(table.columns)  # a box of `file`, as prepare would take them
    assert metrics["pictures_without_head"] >= 4 and "no head found" in output
    assert metrics["pictures_without_head"] + metrics["pictures_with_one_head"] + metrics["pictures_with_several_heads"] == 16
    assert metrics["heads"] == len(table) == metrics["pictures_with_one_head"] >= 8
    assert set(table["illustration"]).isdisjoint(f"Character {number}/3.png" for number in range(4))  # they show no head
    for row in table.itertuples():
        assert row.character == row.illustration.split("/")[0] and row.artwork == row.illustration
        picture = np.asarray(Image.open(illustrations / row.illustration))
        cut = np.asarray(Image.open(artifact(project, run, "heads") / row.file))
        box = HeadDetector(HEAD_DETECTOR).detect(picture)[0][0]
        assert np.array_equal(cut, crop_head(picture, box))
        place = row.illustration_left, row.illustration_top, row.illustration_right, row.illustration_bottom
        np.testing.assert_allclose(place, box, atol=0.051)
    assert Image.open(artifact(project, run, "found_heads.png")).width > 300


def test_several_heads_under_one_label_are_left_out_unless_asked_otherwise(illustrations, tmp_path):
    pair = [np.asarray(Image.open(illustrations / "Character 0" / f"{number}.png")) for number in (0, 1)]
    home = tmp_path / "pictures" / "Character 0"
    home.mkdir(parents=True)
    Image.fromarray(np.concatenate(pair, axis=1)).save(home / "two.png")
    Image.fromarray(np.concatenate(pair[::-1], axis=1)).save(home / "two more.png")
    project, given = Project.on(ROOT, tmp_path), {"illustrations": home.parent, "detector": HEAD_DETECTOR}
    output = project.run("crop", given, code=1)
    assert (
        "left out 2: several heads found for one label" in output
        and "-P several=all" in output
        and "no head was cropped from" in output
    )
    for several, heads in (("largest", 2), ("all", 4)):
        project.run("crop", {**given, "several": several})
        table = pd.read_csv(artifact(project, project.runs("crop")[0], "heads") / "manifest.csv")
        assert len(table) == heads and table["artwork"].nunique() == 2


def test_main_goes_from_illustrations_through_a_given_detector(illustrations, tmp_path):
    project = Project.on(ROOT, tmp_path)
    parameters = {**TINY, "illustrations": illustrations, "detector": HEAD_DETECTOR, "near_duplicate_bits": -1}
    output = project.run("main", parameters)
    assert "crop: done" in output and "top-5" in output and "detector: running" not in output
    again = project.plan(parameters)
    assert again["crop"][0] == again["prepare"][0] == "reuse" and "detector" not in again
    assert project.plan({**parameters, "detector": ""})["detector"][0] == "run"


def test_main_refuses_heads_and_illustrations_together(illustrations, characters_folder, tmp_path):
    project = Project.on(ROOT, tmp_path)
    output = project.run("main", {"illustrations": illustrations, "dataset": characters_folder}, code=1)
    assert "dataset and illustrations are both given" in output and "Traceback" not in output
    assert "main: nowhere does not exist" in project.run("main", {"detector": "nowhere"}, code=1)
