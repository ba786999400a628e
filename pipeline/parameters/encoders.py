"""Finished encoders and bundles that a parameter can name: the released one of this checkout, or a folder."""

import json
from pathlib import Path

from crystal_eyes.errors import UserError

WEIGHTS, DESCRIPTION = "encoder.safetensors", "encoder.json"  # as crystal_eyes.encoder.network writes them; it imports torch
RELEASED_RECOGNIZER = Path(__file__).resolve().parents[2] / "models" / "recognizer"
RELEASED_ENCODER = RELEASED_RECOGNIZER / "encoder"
RELEASED, RELEASED_BUNDLE = {"released": RELEASED_ENCODER}, {"released": RELEASED_RECOGNIZER}


def encoder_backbone(folder: Path) -> str:
    """The backbone of an encoder's folder. Raises UserError where it is not such a folder."""
    try:
        if not (folder / WEIGHTS).is_file():
            raise ValueError(f"{WEIGHTS} is missing")
        return str(json.loads((folder / DESCRIPTION).read_text("utf-8"))["backbone"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise UserError(f"{folder} is not an encoder ({reason}): it needs {WEIGHTS} and {DESCRIPTION}") from None


def required_backbone(given: str | None, weights: str, encoder: Path) -> str:
    """The backbone of a training that starts with an encoder's weights. Raises UserError where another one is given."""
    backbone = encoder_backbone(encoder)
    if given not in (None, backbone):
        raise UserError(
            f"weights={weights}: its backbone is {backbone}, but {given} is given: leave backbone out, or give "
            "weights=pretrained"
        )
    return backbone
