"""release: from a dataset to the folder that comes with Crystal Eyes."""

import csv
import dataclasses
import io
import json
import shutil
from pathlib import Path

import pytest

from crystal_eyes.encoder.network import Encoder, EncoderDescription, load_encoder, save_encoder
from crystal_eyes.errors import UserError
from crystal_eyes.recognizer import Recognizer
from crystal_eyes.recognizer.bundle import read_bundle
from pipeline import release
from pipeline.parameters.entry_points import Release
from pipeline.parameters.steps import STEPS
from pipeline.promote import shortened
from pipeline.release import release_chain, writable_target, write_release
from tests.pipeline.test_chain import Recorder
from tests.runs import ROOT, Project, artifacts, draw_head, draw_heads

CHARACTERS, PICTURES = 8, 6


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    save_encoder(Encoder(EncoderDescription("mnasnet_small", 16, 32)).eval(), folder)
    return folder


def chain_of(*arguments: str) -> list[tuple[str, dict]]:
    """The steps of a release, in order, with what each is given."""
    called: list[tuple[str, dict]] = []
    recorder = Recorder()

    def run(entry_point, parameters):
        called.append((entry_point, parameters))
        return recorder(entry_point, parameters)

    release_chain(Release.parse(["--dataset", "heads", *arguments]).main, run)
    return called


def test_the_classifier_is_measured_on_the_splits_and_the_bundle_made_of_all_heads(encoder):
    called = chain_of("--encoder", str(encoder))
    assert [name for name, _ in called] == ["prepare", "export", "embed", "classify", "bundle"]
    bundle = called[-1][1]
    assert bundle["fit_all_heads"] and bundle["released"] and not bundle["thumbnails"]
    assert set(bundle) == {field.name for field in dataclasses.fields(STEPS["bundle"])}


def test_without_an_encoder_one_is_trained_and_only_the_classifier_that_names_is_fitted():
    names = [name for name, _ in chain_of("--distill_epochs", "0")]
    assert names[:2] == ["prepare", "train"] and names.count("classify") == 1
    assert dict(chain_of("--naming", "ridge"))["classify"]["classifier"] == "ridge"
    assert dict(chain_of("--recipe", "2020"))["classify"]["classifier"] == "perceptron"


def test_a_release_needs_a_dataset_and_knows_no_parameter_of_main_that_it_does_not_use():
    with pytest.raises(UserError, match="dataset is required"):
        Release.parse([])
    with pytest.raises(UserError, match="unknown parameter classifiers"):
        Release.parse(["--dataset", "heads", "--classifiers", "lda"])


def test_an_earlier_release_is_replaced_whole_or_not_at_all(bundle_folder, encoder, tmp_path, monkeypatch):
    target = tmp_path / "recognizer"
    write_release(bundle_folder, encoder, target)
    before = {path.name for path in target.iterdir()}
    assert before == {path.name for path in bundle_folder.iterdir()} | {"encoder"}
    assert load_encoder(target / "encoder").description.backbone == "mnasnet_small"
    (target / "more").touch()
    with pytest.raises(FileNotFoundError):
        write_release(bundle_folder, tmp_path / "no encoder", target)
    assert {path.name for path in target.iterdir()} == before | {"more"} and not list(tmp_path.glob(".*"))
    # out of the folder that it replaces: the encoder of the earlier release
    write_release(bundle_folder, target / "encoder", target)
    assert {path.name for path in target.iterdir()} == before and not list(tmp_path.glob(".*"))

    def broken(self, other):
        if self.name.endswith(".part"):
            raise OSError("disk")
        return rename(self, other)

    rename = Path.rename
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", broken)
        with pytest.raises(OSError, match="disk"):
            write_release(bundle_folder, encoder, target)
    assert read_bundle(target) and not list(tmp_path.glob(".*"))
    # killed between the two renames, and while copying
    target.rename(tmp_path / ".recognizer.old")
    (tmp_path / ".recognizer.part").mkdir()
    write_release(bundle_folder, encoder, target)
    assert read_bundle(target) and not list(tmp_path.glob(".*"))


def test_a_folder_with_other_files_is_not_replaced(tmp_path, bundle_folder):
    (tmp_path / "own").mkdir()
    assert writable_target(str(tmp_path / "own")) == tmp_path / "own"
    assert writable_target(str(tmp_path / "deep" / "new")).parent.is_dir()
    (tmp_path / "own" / "notes.txt").touch()
    with pytest.raises(UserError, match="is no released recognizer: give another folder"):
        writable_target(str(tmp_path / "own"))
    shutil.copytree(bundle_folder, tmp_path / "earlier")
    assert writable_target(str(tmp_path / "earlier")) == tmp_path / "earlier"


@pytest.fixture(scope="module")
def released(tmp_path_factory, encoder) -> tuple[Project, dict[str, object], str]:
    """A release of drawn heads: its project, its parameters, what it printed."""
    state = tmp_path_factory.mktemp("release")
    project = Project.on(ROOT, state)
    parameters: dict[str, object] = {
        "dataset": draw_heads(state / "heads", CHARACTERS, PICTURES), "encoder": encoder, "naming": "ridge",
        "output": state / "recognizer", "validation_characters": 0.25, "test_characters": 0.25,
    }  # fmt: skip
    return project, parameters, project.call("release", parameters)


@pytest.mark.slow
def test_a_release_names_characters_and_holds_no_picture(released, encoder):
    project, parameters, output = released
    target = Path(str(parameters["output"]))
    assert "8 characters" in output and "on the splits: top-1 " in output
    bundle = read_bundle(target)
    assert bundle.training_heads == [PICTURES] * CHARACTERS and (target / "thumbnails.bin").read_bytes() == b""
    assert (target / "README.md").read_text("utf-8").startswith("# The released recognizer of Crystal Eyes")
    assert json.loads((target / "encoder" / "encoder.json").read_text()) == json.loads((encoder / "encoder.json").read_text())
    (head,) = Recognizer.load(target, threads=1).recognize(draw_head(1, 0).resize((192, 192)))
    assert head.candidates[0].character.startswith("Character ")


@pytest.mark.slow
def test_one_run_documents_a_release(released):
    project, _, _ = released
    (run,) = project.client.search_runs(["0"], "tags.entry_point = 'release'")
    assert run.info.run_name == "release, heads" and run.data.params["naming"] == "ridge"
    for name in ("top_1", "top_5", "final/held_out_top_1", "final/colour_top_5", "bundle_bytes"):
        assert run.data.metrics[name] >= 0
    assert (artifacts(run) / "README.md").read_text("utf-8").startswith("# The released recognizer")
    assert "- on the splits: top-1 " in run.data.tags["mlflow.note.content"]
    (first, *_) = csv.DictReader(io.StringIO((artifacts(run) / "per_set.csv").read_text()))
    assert first["set"] == "" and first["characters"] == "8" and 0 <= float(first["top_1"]) <= 1


@pytest.mark.slow
def test_a_repeated_release_runs_nothing_again_and_writes_the_same_files(released):
    project, parameters, _ = released
    target = Path(str(parameters["output"]))
    before = {path.name: path.read_bytes() for path in target.iterdir() if path.is_file()}
    plan = project.call("release", {**parameters, "plan": "true"})
    assert "plan: 0 to run, 5 to reuse" in plan
    again = project.call("release", parameters)
    assert ": running" not in again
    assert {path.name: path.read_bytes() for path in target.iterdir() if path.is_file()} == before


def test_release_is_where_training_looks_for_the_encoder():
    assert release.ENCODER == "encoder" and Release.parse(["--dataset", "x"]).output == "models/recognizer"


def test_a_card_that_is_too_long_for_the_registry_loses_its_last_sections():
    card = "# Title\n\ntext\n" + "".join(f"\n## Section {n}\n\n{'x' * 900}\n" for n in range(8))
    short = shortened(card)
    assert len(short) <= 5000 and card.startswith(short) and card[len(short) :].startswith("\n## Section 5")
    assert shortened(short) == short
