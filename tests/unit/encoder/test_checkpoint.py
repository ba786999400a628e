"""Checkpoints: the newest complete one is used, whatever an interruption left behind."""

import shutil

import pytest
import torch

from crystal_eyes.encoder.checkpoint import STATE, TENSORS, load_checkpoint, save_checkpoint


def numbers(value: int) -> tuple[dict[str, torch.Tensor], dict]:
    return {"w": torch.full((2, 3), float(value)), "steps": torch.tensor(value)}, {"history": [value]}


def assert_holds(folder, value: int) -> None:
    tensors, state = load_checkpoint(folder)
    assert torch.equal(tensors["w"], numbers(value)[0]["w"]) and int(tensors["steps"]) == value
    assert state == {"history": [value]}
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_checkpoint_replaces_the_previous_one(tmp_path):
    folder = tmp_path / "deep" / "checkpoint"
    for value in (1, 2):
        save_checkpoint(folder, *numbers(value))
        assert_holds(folder, value)


def test_without_a_checkpoint_there_is_none(tmp_path):
    assert load_checkpoint(tmp_path / "checkpoint") is None


@pytest.mark.parametrize("written", [[], [TENSORS], [TENSORS, STATE]])
def test_a_partial_checkpoint_is_removed(tmp_path, written):
    folder, beside = tmp_path / "checkpoint", tmp_path / "checkpoint.new"
    for before in (False, True):
        if before:
            save_checkpoint(folder, *numbers(1))
        beside.mkdir()
        for name in written:
            (beside / name).write_bytes(b"half")
        if before:
            assert_holds(folder, 1)
        else:
            assert load_checkpoint(folder) is None and not beside.exists()


def test_an_interruption_between_the_renames_loses_nothing(tmp_path):
    folder, old = tmp_path / "checkpoint", tmp_path / "checkpoint.old"
    save_checkpoint(folder, *numbers(1))
    shutil.copytree(folder, tmp_path / "checkpoint.new")
    folder.rename(old)
    assert_holds(folder, 1)
    shutil.copytree(folder, old)  # interrupted before the old one was removed
    assert_holds(folder, 1)


def test_a_checkpoint_is_not_replaced_by_one_that_could_not_be_written(tmp_path):
    folder = tmp_path / "checkpoint"
    save_checkpoint(folder, *numbers(1))
    with pytest.raises(TypeError):
        save_checkpoint(folder, numbers(2)[0], {"history": object()})
    assert_holds(folder, 1)
