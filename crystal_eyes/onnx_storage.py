"""Stores the weights of ONNX files in 16 bits, which halves the files. onnxruntime still computes in 32 bits."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx

MIN_HALVED = 65  # numbers: smaller tensors stay in 32 bits
MAX_HALF = 65504.0  # the largest 16-bit number


def is_halved(values: np.ndarray) -> bool:
    """Whether store_half stores a tensor in 16 bits."""
    return values.dtype == np.float32 and values.size >= MIN_HALVED and bool(np.abs(values).max() < MAX_HALF)


def rounded(values: np.ndarray) -> np.ndarray:
    """float32: the numbers that are left of a tensor once store_half has stored it."""
    return values.astype(np.float16).astype(np.float32) if is_halved(values) else values


def store_half(model: "onnx.ModelProto") -> None:
    """Replace float32 weights by float16 ones and a cast, which onnxruntime does once, when it loads the file.

    Own code: onnxconverter-common's float16 converts the arithmetic too, and onnxruntime rejects what it makes of some graphs.
    """
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if is_halved(values):
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_16"))
            casts.append(helper.make_node("Cast", [f"{name}_16"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def store_file_half(source: Path, path: Path) -> None:
    """Write a copy of an ONNX file with 16-bit weights. Equal files give equal bytes."""
    import onnx

    model = onnx.load(source, load_external_data=False)
    store_half(model)
    onnx.checker.check_model(model)
    onnx.save(model, path)
