"""The encoder network: a geffnet backbone, pooling, a linear embedding layer and L2 normalization.

Its input is the stored form of a head (uint8 RGB, channels last) and it normalizes the input itself, so training and serving
cannot differ in this.
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

# Channel mean and standard deviation that the pretrained weights expect, for values from 0 to 255
TENSORFLOW = ((127.5,) * 3, (127.5,) * 3)
# the weights by Google that geffnet's README names
INCEPTION_STYLE = re.compile("^tf_(efficientnet_(lite|cc|es|em|el)|efficientnet_b._ap|mobilenetv3)")
IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))

# How feature maps become the input of the embedding layer. "average": the mean of the last map. "rooted": signed square roots
# (power normalization: Perronnin, Sanchez and Mensink, 2010) of the mean of the last map, of the mean of its center, and of the
# mean of the map before the last convolution. Both were chosen by measurement: docs/results.md.
AVERAGE, ROOTED = "average", "rooted"
CENTER_WEIGHT, EARLIER_WEIGHT = 0.5, 0.3  # of the second and the third part of "rooted"
SMOOTHING = 1e-2  # keeps the slope of the root finite at 0


@dataclass(frozen=True)
class EncoderDescription:
    """What is needed to rebuild an encoder in addition to its weights."""

    backbone: str
    embedding_size: int
    image_size: int  # side of the square input, pixels
    drop_rate: float = 0.0
    drop_connect_rate: float = 0.0
    training_catalogue: str = ""  # digest of the catalogue it was trained on
    pooling: str = AVERAGE  # or ROOTED


def backbones() -> list[str]:
    """The names of the networks that geffnet has."""
    modules = (gen_efficientnet, mobilenetv3)
    return sorted(n for m in modules for n in m.__all__ if n.islower() and callable(getattr(m, n)))


class Encoder(torch.nn.Module):
    """uint8 RGB heads [n, size, size, 3] to unit-length float32 embeddings [n, d]."""

    mean: torch.Tensor
    deviation: torch.Tensor  # a persisted name: encoders hold it in their weights

    def __init__(self, description: EncoderDescription):
        super().__init__()
        self.description = description
        self.backbone = create_backbone(description)
        mean, std = TENSORFLOW if INCEPTION_STYLE.search(description.backbone) else IMAGENET
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(std).view(1, 3, 1, 1))
        self.set_embedding_layer()

    def set_embedding_layer(self) -> None:
        """Replace the backbone's classifier by a new embedding layer."""
        last = self.backbone.conv_head
        inputs = 2 * last.out_channels + last.in_channels if self.description.pooling == ROOTED else last.out_channels
        self.backbone.classifier = torch.nn.Linear(inputs, self.description.embedding_size)

    @property
    def embedding_layer(self) -> torch.nn.Linear:
        """The last layer: from features to embeddings."""
        layer = self.backbone.classifier
        assert isinstance(layer, torch.nn.Linear)
        return layer

    def forward(self, heads: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(self.outputs(heads), dim=1)

    def outputs(self, heads: torch.Tensor) -> torch.Tensor:
        """float32 [n, d]: outputs of the embedding layer, not normalized to unit length."""
        if self.description.pooling == AVERAGE:
            return self.backbone(self._normalized(heads)).float()
        features = torch.nn.functional.dropout(self.features(heads), self.description.drop_rate, self.training)
        return self.embedding_layer(features).float()

    def features(self, heads: torch.Tensor) -> torch.Tensor:
        """float32 [n, features]: inputs of the embedding layer."""
        if self.description.pooling == AVERAGE:
            return self.backbone.features(self._normalized(heads)).mean(dim=(2, 3)).float()
        return self.rooted_features(heads)

    def rooted_features(self, heads: torch.Tensor) -> torch.Tensor:
        """float32 [n, features]: what `features` would be with the pooling ROOTED."""
        network = self.backbone
        earlier = network.blocks(network.act1(network.bn1(network.conv_stem(self._normalized(heads)))))
        if isinstance(network, mobilenetv3.MobileNetV3):  # pools before its last convolution
            last = network.act2(network.conv_head(network.global_pool(earlier)))
        else:
            last = network.act2(network.bn2(network.conv_head(earlier)))
        (height, width), last = last.shape[2:], last.float()
        center = last[:, :, height // 3 : height - height // 3, width // 3 : width - width // 3]
        parts = ((1, last), (CENTER_WEIGHT, center), (EARLIER_WEIGHT, earlier.float()))
        return torch.cat([weight * signed_root(part.mean(dim=(2, 3))) for weight, part in parts], dim=1)

    def _normalized(self, heads: torch.Tensor) -> torch.Tensor:
        # permuting the stored layout gives torch's channels_last layout, the fast one on CPUs
        return (heads.permute(0, 3, 1, 2).float() - self.mean) / self.deviation


def signed_root(values: torch.Tensor) -> torch.Tensor:
    """About the square root of each value's size, with its sign."""
    return values / torch.sqrt(values.abs() + SMOOTHING)


def create_backbone(
    description: EncoderDescription,
) -> gen_efficientnet.GenEfficientNet | mobilenetv3.MobileNetV3:
    """The untrained backbone. Raises UserError where geffnet has no network of this name."""
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


def read_description(folder: Path) -> EncoderDescription:
    """Raises UserError where the folder holds no description of an encoder."""
    try:
        found = EncoderDescription(**json.loads((folder / DESCRIPTION).read_text()))
        if found.pooling not in (AVERAGE, ROOTED):
            raise ValueError(f"pooling {found.pooling} is unknown: it is from a newer version")
        return found
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{folder} contains no usable encoder ({str(error).splitlines()[0]})") from None


def load_encoder(folder: str | Path) -> Encoder:
    """The encoder in evaluation mode. Raises UserError where the folder holds none."""
    folder = Path(folder)
    encoder = Encoder(read_description(folder))
    try:
        encoder.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{folder} contains no usable encoder ({reason})") from None
    return encoder.eval()
