"""Checkpoints of a training run, written atomically."""

import json
import os
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

CHECKPOINT = "checkpoint"  # its folder in a workspace
TENSORS, STATE = "tensors.safetensors", "state.json"


def save_checkpoint(folder: Path, tensors: dict[str, torch.Tensor], state: dict) -> None:
    """Replace the last checkpoint: write a new folder, flush it to disk, rename it."""
    beside, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    save_file({name: t.detach().contiguous().cpu() for name, t in tensors.items()}, beside / TENSORS)
    (beside / STATE).write_text(json.dumps(state))
    for file in beside.iterdir():
        with open(file, "rb") as handle:
            os.fsync(handle.fileno())
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    beside.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def load_checkpoint(folder: Path) -> tuple[dict[str, torch.Tensor], dict] | None:
    """The last complete checkpoint, or None. Partial files of an interrupted save are removed."""
    beside, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    shutil.rmtree(beside, ignore_errors=True)
    if old.exists() and not folder.exists():
        old.rename(folder)  # the save was interrupted between its two renames
    shutil.rmtree(old, ignore_errors=True)
    if not folder.exists():
        return None
    return load_file(folder / TENSORS), json.loads((folder / STATE).read_text())


def pack_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The optimizer's tensors by name (its hyperparameters come from the options)."""
    state = optimizer.state_dict()["state"]
    return {f"optimizer.{i}.{name}": value for i, slots in state.items() for name, value in slots.items()}


def unpack_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """Restore what pack_optimizer returned."""
    slots: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".")
            slots.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
