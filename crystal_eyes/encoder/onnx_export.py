"""Export of the encoder to ONNX, and the check that it answers like torch."""

import io
import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from crystal_eyes.encoder.network import Encoder
from crystal_eyes.errors import UserError

TOLERANCE = 1e-4  # largest difference of one number of an embedding


def export_onnx(encoder: Encoder, path: Path, metadata: dict[str, str]) -> None:
    """Write the encoder as one ONNX file: input `pictures` uint8 RGB [n, size, size, 3], output `embeddings` float32 [n, d].

    metadata is added to what the file says of itself: image_size, color_order, backbone, embedding_size.
    """
    description = encoder.description
    size = description.image_size
    example = torch.zeros((2, size, size, 3), dtype=torch.uint8)
    buffer = io.BytesIO()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            encoder.eval(),
            (example,),
            input_names=["pictures"],
            output_names=["embeddings"],
            dynamic_shapes={"pictures": {0: torch.export.Dim("n", min=1)}},
            dynamo=True,
            verbose=False,
        )
    program.save(buffer)
    model = onnx.load_from_string(buffer.getvalue())
    onnx.helper.set_model_props(
        model,
        {
            "image_size": str(size),
            "color_order": "RGB",
            "backbone": description.backbone,
            "embedding_size": str(description.embedding_size),
            "training_catalogue": description.training_catalogue,
            **metadata,
        },
    )
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)


def largest_difference(encoder: Encoder, path: Path, pictures: np.ndarray) -> float:
    """Largest absolute difference between torch's and onnxruntime's embeddings of uint8 RGB [n, size, size, 3] pictures.

    Each picture is also given alone, so a batch and its parts are compared too. Raises UserError above TOLERANCE.
    """
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        expected = encoder.eval()(torch.from_numpy(pictures)).numpy()
    together = session.run(None, {"pictures": pictures})[0]
    alone = np.concatenate([session.run(None, {"pictures": pictures[i : i + 1]})[0] for i in range(min(4, len(pictures)))])
    difference = max(np.abs(together - expected).max(), np.abs(alone - expected[: len(alone)]).max())
    if not difference <= TOLERANCE:
        raise UserError(f"the ONNX encoder differs from torch by {difference:.1e}, more than {TOLERANCE}: please report it")
    return float(difference)
