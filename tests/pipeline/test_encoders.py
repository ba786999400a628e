"""Finished encoders: main uses one instead of training, train starts with the weights of one."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from crystal_eyes.encoder.network import Encoder, EncoderDescription, save_encoder
from crystal_eyes.errors import UserError
from pipeline.cache.key import cache_key
from pipeline.parameters.declare import input_path
from pipeline.parameters.encoders import RELEASED, RELEASED_ENCODER, encoder_backbone
from pipeline.parameters.steps import Export, Train
from tests.pipeline.test_chain import given

TINY = EncoderDescription("mnasnet_small", 16, 32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    save_encoder(Encoder(TINY), folder)
    return folder


@pytest.fixture
def released(folder, monkeypatch) -> Path:
    """A small encoder in place of the released one."""
    monkeypatch.setitem(RELEASED, "released", folder)
    return folder


def test_a_given_encoder_is_used_and_none_is_trained(folder, released):
    for value in (str(folder), "released"):
        steps = given("--encoder", value)
        assert not {"train", "distill"} & {name.split()[0] for name in steps}
        assert steps["export"]["encoder"] == value
        assert steps["embed"]["onnx"] == "pending:/export/onnx"


def test_what_a_training_alone_has_contradicts_a_finished_encoder(released):
    with pytest.raises(UserError, match="encoder=released trains no encoder: leave epochs=3 out"):
        given("--encoder", "released", "--epochs", "3")
    with pytest.raises(UserError, match="leave distill_epochs=2 out"):
        given("--encoder", "released", "--distill_epochs", "2")
    # what other steps have too, and what `make main` gives
    assert given("--encoder", "released", "--seed", "4", "--recipe", "2020", "--distill_epochs", "0")["prepare"]["seed"] == 4


def test_a_folder_without_an_encoder_is_refused_before_anything_runs(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="is not an encoder .encoder.safetensors is missing"):
        given("--encoder", str(tmp_path))
    with pytest.raises(UserError, match="does not exist"):
        given("--encoder", str(tmp_path / "none"))
    (tmp_path / "encoder.safetensors").touch()
    (tmp_path / "encoder.json").write_text("{}")
    with pytest.raises(UserError, match="is not an encoder .no 'backbone'"):
        encoder_backbone(tmp_path)
    monkeypatch.setitem(RELEASED, "released", tmp_path / "missing")
    for arguments in (("--encoder", "released"), ("--weights", "released")):
        with pytest.raises(UserError, match="=released: .*missing does not exist in this checkout"):
            given(*arguments)


def test_with_the_released_weights_the_backbone_is_theirs_unless_another_one_is_given(released):
    assert Train(weights="released").resolved().backbone == TINY.backbone
    assert given("--weights", "released", "--distill_epochs", "0")["train"]["backbone"] == TINY.backbone
    assert Train(weights="released", backbone=TINY.backbone).resolved().backbone == TINY.backbone
    with pytest.raises(UserError, match="its backbone is mnasnet_small, but mixnet_s is given: leave backbone out"):
        Train(weights="released", backbone="mixnet_s").resolved()


def test_the_key_of_a_step_covers_the_contents_of_the_encoder_and_not_its_name(folder, released, tmp_path, monkeypatch):
    catalogue = str(tmp_path)

    def key(weights: str) -> str:
        return cache_key("train", Train(catalogue=catalogue, weights=weights, backbone=TINY.backbone).resolved()).inputs[
            "weights"
        ]

    assert key("released") == key(str(folder)) != key("none")
    exported = cache_key("export", Export(encoder="released", catalogue=catalogue))
    assert exported == cache_key("export", Export(encoder=str(folder), catalogue=catalogue))
    before = key("released")
    other = tmp_path / "other"
    save_encoder(Encoder(TINY), other)  # other random weights
    monkeypatch.setitem(RELEASED, "released", other)
    assert key("released") != before


def test_the_released_encoder_is_beside_the_bundle():
    assert RELEASED["released"] == RELEASED_ENCODER and RELEASED_ENCODER.parts[-3:] == ("models", "recognizer", "encoder")
    assert input_path(Train(weights=str(Path(__file__))), "weights") == Path(__file__)


def test_an_encoder_is_described_by_what_the_library_wrote(folder):
    assert json.loads((folder / "encoder.json").read_text()) == asdict(TINY)
    assert encoder_backbone(folder) == "mnasnet_small"
