"""Export of a detector to ONNX. Weights are stored in 16 bits, which halves the file, and computed with in 32."""

import io
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from crystal_eyes.detector.runtime import KIND

MIN_HALVED = 65  # numbers: smaller tensors stay in 32 bits


class PixelInput(torch.nn.Module):
    """The network behind an input of decoded pictures: uint8 RGB [n, h, w, 3]."""

    def __init__(self, network: torch.nn.Module):
        super().__init__()
        self.network = network

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        answer = self.network(pictures.permute(0, 3, 1, 2).float() / 255)
        return answer[0] if isinstance(answer, (tuple, list)) else answer


def export_onnx(network: Any, path: Path, metadata: dict[str, str]) -> None:
    """Write path: input `pictures` uint8 RGB [n, h, w, 3], sides multiples of 32; output `heads` float32 [n, 5, anchors]:
    center x, center y, width, height in pixels, confidence; before non-maximum suppression.

    network: what trainer.build returns, an ultralytics DetectionModel. metadata: added to the file's own. The file appears only
    when it is complete.
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
            PixelInput(network),
            (torch.zeros((1, 256, 320, 3), dtype=torch.uint8),),
            buffer,  # type: ignore[arg-type]  # this exporter takes a stream too
            input_names=["pictures"],
            output_names=["heads"],
            dynamic_axes={"pictures": {0: "n", 1: "h", 2: "w"}, "heads": {0: "n", 2: "anchors"}},
            dynamo=False,  # the newer exporter makes the sizes of the grids constant
        )
    model = onnx.load_from_string(buffer.getvalue())
    _store_half(model)
    helper.set_model_props(model, {"kind": KIND, "color_order": "RGB", **metadata})
    onnx.checker.check_model(model)
    _save(model, path)


def set_image_size(path: Path, size: int) -> None:
    """Store in the detector file the longer side of its input, pixels."""
    model = onnx.load(path, load_external_data=False)
    helper.set_model_props(model, {p.key: p.value for p in model.metadata_props} | {"image_size": str(size)})
    _save(model, path)


def _save(model: onnx.ModelProto, path: Path) -> None:
    incomplete = path.with_suffix(".part")
    onnx.save(model, incomplete)
    incomplete.replace(path)


def _store_half(model: onnx.ModelProto) -> None:
    """Replace float32 weights by float16 ones and a cast, which onnxruntime does once, when it loads the file.

    Own code: onnxconverter-common's float16 converts the arithmetic too, and onnxruntime rejects what it makes of this graph.
    """
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size >= MIN_HALVED and np.abs(values).max() < 65504:
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_16"))
            casts.append(helper.make_node("Cast", [f"{name}_16"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
