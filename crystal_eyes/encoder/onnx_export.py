"""Export of the encoder to ONNX, and the check that it gives the same embeddings as torch."""

import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch

from crystal_eyes.encoder.network import Encoder
from crystal_eyes.errors import UserError
from crystal_eyes.onnx_session import open_session

TOLERANCE = 1e-4  # largest difference of one coordinate of an embedding


def export_onnx(encoder: Encoder, path: Path) -> None:
    """Write the encoder as one ONNX file: input `pictures` uint8 RGB [n, size, size, 3], output `embeddings` float32 [n, d].

    Metadata: image_size, color_order, backbone, embedding_size, training_catalogue. Equal encoders give equal bytes.
    """
    description = encoder.description
    size = description.image_size
    example = torch.zeros((2, size, size, 3), dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            encoder.eval(),
            (example,),
            input_names=["pictures"],
            output_names=["embeddings"],
            dynamic_shapes={"heads": {0: torch.export.Dim("n", min=1)}},
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    graph = model.graph
    for part in (graph, *graph.node, *graph.value_info, *graph.initializer, *graph.input, *graph.output):
        part.ClearField("metadata_props")  # torch's stack traces, with the paths of this machine
        part.ClearField("doc_string")
    onnx.helper.set_model_props(
        model,
        {
            "image_size": str(size),
            "color_order": "RGB",
            "backbone": description.backbone,
            "embedding_size": str(description.embedding_size),
            "training_catalogue": description.training_catalogue,
        },
    )
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)


def largest_difference(encoder: Encoder, path: Path, heads: np.ndarray) -> float:
    """Largest absolute difference between torch's and onnxruntime's embeddings of uint8 RGB heads [n, size, size, 3].

    The first heads are also embedded one by one, so batches are compared with single heads too. Raises UserError above
    TOLERANCE.
    """
    session = open_session(path.read_bytes())
    with torch.inference_mode():
        expected = encoder.eval()(torch.from_numpy(heads)).numpy()
    together = session.run(None, {"pictures": heads})[0]
    alone = np.concatenate([session.run(None, {"pictures": heads[i : i + 1]})[0] for i in range(min(4, len(heads)))])
    difference = max(np.abs(together - expected).max(), np.abs(alone - expected[: len(alone)]).max())
    if not difference <= TOLERANCE:
        raise UserError(
            f"the ONNX encoder differs from torch by {difference:.1e}, more than {TOLERANCE}: this is a bug, please report it"
        )
    return float(difference)
