"""A detector's weights as files: .safetensors of Crystal Eyes, and ultralytics' .pt, which are pickles."""

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from crystal_eyes.errors import UserError

WEIGHTS = "detector.safetensors"
DISTANCES = "dfl.conv.weight"  # ends the name of the constants 0, 1, 2 ...: how far a box's side may be from its anchor


def load_weights(model: torch.nn.Module, path: Path) -> None:
    """Load .safetensors, or an ultralytics .pt without trusting its pickle. path: the file, or the folder that holds WEIGHTS.

    Of a .pt trained on other classes, the class scores of the last layer keep their initial values.
    Raises UserError where the file is unreadable or fits less than nine tenths of the tensors.
    """
    if path.is_dir():
        path = path / WEIGHTS
    try:
        state = load_file(path) if path.suffix == ".safetensors" else _state_of_pt(path)
    except Exception as error:
        raise UserError(f"weights {path} can't be read as .safetensors or .pt: {str(error).splitlines()[0]}") from None
    own = model.state_dict()
    fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    if len(fitting) < 0.9 * len(own):
        raise UserError(f"weights {path} fit only {len(fitting)} of {len(own)} tensors: they belong to another architecture")
    model.load_state_dict(fitting, strict=False)


def save_best(run: Path, out: Path, architecture: str) -> None:
    """Write the weights of the best epoch of ultralytics' folder `run` as out/WEIGHTS, in 16 bits, as ultralytics keeps them.

    The folder out appears only when it is complete.
    """
    best = run / "weights" / "best.pt"
    save_checkpoint(best if best.exists() else best.with_name("last.pt"), out, architecture)


def save_checkpoint(path: Path, out: Path, architecture: str) -> None:
    """Write the weights of a checkpoint of this step's own training run as out/WEIGHTS, as save_best does."""
    incomplete, checkpoint = out.with_name(f"{out.name}.part"), load_checkpoint(path)
    state = (checkpoint.get("ema") or checkpoint["model"]).state_dict()
    half = {name: (value.half() if value.is_floating_point() else value).contiguous() for name, value in state.items()}
    shutil.rmtree(incomplete, ignore_errors=True)
    incomplete.mkdir()
    save_file(half, incomplete / WEIGHTS, {"architecture": architecture})
    incomplete.rename(out)


def scale_boxes(weights: Path, out: Path, factor: float) -> None:
    """Write weights whose network gives the same heads with all sides of their boxes times the factor, about where they are
    found: for boxes that training made too large or small. Training from them starts without the factor.

    Raises UserError where weights is not .safetensors of a detector.
    """
    try:
        with safe_open(weights, "pt") as file:
            metadata, state = file.metadata(), load_file(weights)
    except Exception as error:
        raise UserError(f"weights {weights} can't be read as .safetensors: {str(error).splitlines()[0]}") from None
    distances = [name for name in state if name.endswith(DISTANCES)]
    if not distances:
        raise UserError(f"weights {weights} are not those of a detector: they have no {DISTANCES}")
    for name in distances:
        state[name] = state[name] * factor
    save_file(state, out, metadata)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """What ultralytics saved to resume from: a pickle, so only of a run in this step's own workspace."""
    return torch.load(path, map_location="cpu", weights_only=False)


def _state_of_pt(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of an ultralytics checkpoint. Only classes of torch.nn and ultralytics.nn are unpickled."""
    allowed = []
    for name in torch.serialization.get_unsafe_globals_in_checkpoint(path):
        module, _, attribute = name.rpartition(".")
        if not module.startswith(("torch.nn.", "ultralytics.nn.")) and name not in ("builtins.set", "torch.Size"):
            raise ValueError(f"it contains {name}")
        allowed.append(getattr(__import__(module, fromlist=[attribute]), attribute))
    with torch.serialization.safe_globals(allowed):
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    return (checkpoint.get("ema") or checkpoint["model"]).float().state_dict()
