"""Export of a detector to one ONNX file of half the size: weights are stored in 16 bits and computed with in 32."""

import io
import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from crystal_eyes.detector.runtime import KIND

SMALL = 64  # numbers: tensors up to this many stay as they are


class Pictures(torch.nn.Module):
    """Takes uint8 RGB [n, h, w, 3], as pictures come."""

    def __init__(self, network: torch.nn.Module):
        super().__init__()
        self.network = network

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        answer = self.network(pictures.permute(0, 3, 1, 2).float() / 255)
        return answer[0] if isinstance(answer, (tuple, list)) else answer


def export_onnx(network: torch.nn.Module, path: Path, metadata: dict[str, str]) -> None:
    """Write path: input `pictures` uint8 RGB [n, h, w, 3], sides multiples of 32; output `heads` float32 [n, 5, anchors]:
    middle x, middle y, width, height in pixels, confidence; before non-maximum suppression.

    network: what training.build returns. metadata is added to what the file says of itself.
    """
    network = network.fuse(verbose=False).eval()
    last = network.model[-1]
    last.dynamic = last.export = True
    last.format = "onnx"
    buffer = io.BytesIO()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Pictures(network),
            (torch.zeros((1, 256, 320, 3), dtype=torch.uint8),),
            buffer,
            input_names=["pictures"],
            output_names=["heads"],
            dynamic_axes={"pictures": {0: "n", 1: "h", 2: "w"}, "heads": {0: "n", 2: "anchors"}},
            dynamo=False,  # the newer exporter fixes the sides of the grids
        )
    model = onnx.load_from_string(buffer.getvalue())
    _store_half(model)
    helper.set_model_props(model, {"kind": KIND, "color_order": "RGB", **metadata})
    onnx.checker.check_model(model)
    part = path.with_suffix(".part")
    onnx.save(model, part)
    part.replace(path)


def set_image_size(path: Path, size: int) -> None:
    """Write into the file the size at which it is to be run."""
    model = onnx.load(path, load_external_data=False)
    helper.set_model_props(model, {p.key: p.value for p in model.metadata_props} | {"image_size": str(size)})
    part = path.with_suffix(".part")
    onnx.save(model, part)
    part.replace(path)


def _store_half(model: onnx.ModelProto) -> None:
    """Replace float32 weights by float16 ones and a cast, which the runtime does once, when it loads the file."""
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size > SMALL and np.abs(values).max() < 65504:
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_16"))
            casts.append(helper.make_node("Cast", [f"{name}_16"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
