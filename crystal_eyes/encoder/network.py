"""The encoder: a geffnet backbone, a linear embedding layer and L2 normalisation.

It takes pictures as they are stored (uint8 RGB, channels last) and normalises them itself, so what it saw in training is
what it sees in serving.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import geffnet
import torch
from geffnet import gen_efficientnet, mobilenetv3
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from crystal_eyes.errors import UserError

WEIGHTS, DESCRIPTION = "encoder.safetensors", "encoder.json"

# Channel mean and deviation the pretrained weights expect, of values from 0 to 255
TENSORFLOW = ((127.5,) * 3, (127.5,) * 3)
# those of Google's that geffnet's own README names
INCEPTION_STYLE = re.compile("^tf_(efficientnet_(lite|cc|es|em|el)|efficientnet_b._ap|mobilenetv3)")
IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))


@dataclass(frozen=True)
class Description:
    """What is needed to build an encoder again, besides its weights."""

    backbone: str
    embedding_size: int
    image_size: int  # side of the square it sees, pixels
    drop_rate: float = 0.0
    drop_connect_rate: float = 0.0
    training_catalogue: str = ""  # digest of the catalogue it learned from


def backbones() -> list[str]:
    """The names of the networks that geffnet has."""
    modules = (gen_efficientnet, mobilenetv3)
    return sorted(n for m in modules for n in m.__all__ if n.islower() and callable(getattr(m, n)))


class Encoder(torch.nn.Module):
    """uint8 RGB pictures [n, size, size, 3] to unit-length float32 embeddings [n, d]."""

    def __init__(self, description: Description):
        super().__init__()
        self.description = description
        self.backbone = create_backbone(description)
        mean, deviation = TENSORFLOW if INCEPTION_STYLE.search(description.backbone) else IMAGENET
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(deviation).view(1, 3, 1, 1))
        self.set_embedding_layer()

    def set_embedding_layer(self) -> None:
        """Put a fresh embedding layer in the place of the backbone's ImageNet classifier."""
        features = self.backbone.classifier.in_features
        self.backbone.classifier = torch.nn.Linear(features, self.description.embedding_size)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(self.outputs(pictures), dim=1)

    def outputs(self, pictures: torch.Tensor) -> torch.Tensor:
        """Of the embedding layer: embeddings before they are brought to unit length."""
        return self.backbone(self._normalised(pictures)).float()

    def features(self, pictures: torch.Tensor) -> torch.Tensor:
        """What the embedding layer is given: float32 [n, features]."""
        return self.backbone.features(self._normalised(pictures)).mean(dim=(2, 3)).float()

    def _normalised(self, pictures: torch.Tensor) -> torch.Tensor:
        # the permuted view of stored pictures already is torch's channels_last layout, the fast one on CPUs
        return (pictures.permute(0, 3, 1, 2).float() - self.mean) / self.deviation


def create_backbone(description: Description) -> torch.nn.Module:
    """The untrained network. Raises UserError on a name that geffnet does not have."""
    if description.backbone not in backbones():
        raise UserError(f"backbone {description.backbone} is unknown: geffnet has {', '.join(backbones())}")
    return geffnet.create_model(
        description.backbone,
        pretrained=False,
        drop_rate=description.drop_rate,
        drop_connect_rate=description.drop_connect_rate,
    )


def save_encoder(encoder: Encoder, folder: Path) -> None:
    """Write weights (safetensors) and description (JSON)."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous().cpu() for name, value in encoder.state_dict().items()}, folder / WEIGHTS)
    (folder / DESCRIPTION).write_text(json.dumps(asdict(encoder.description), indent=1))


def load_encoder(folder: str | Path) -> Encoder:
    """The encoder in evaluation mode. Raises UserError where the folder holds none."""
    folder = Path(folder)
    try:
        encoder = Encoder(Description(**json.loads((folder / DESCRIPTION).read_text())))
        encoder.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{folder} holds no usable encoder ({reason}): give what the train entry point wrote") from None
    return encoder.eval()
