"""What every linear classifier comes to once it is fitted: one layer of weights and biases, whoever found them."""

from pathlib import Path
from typing import Self

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file, save_file

from crystal_eyes.classifiers.base import best_of_logits, in_pieces

FILE = "linear.safetensors"


class Linear:
    """weight: float32 [classes, d], bias: float32 [classes]. A subclass says how `fit` finds them."""

    def __init__(self, weight: np.ndarray | None = None, bias: np.ndarray | None = None):
        self.weight, self.bias = weight, bias

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        """float32 [n, classes] of embeddings [n, d]."""
        return np.asarray(embeddings, dtype=np.float32) @ self.weight.T + self.bias

    def top_k(self, embeddings: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        return in_pieces(lambda piece: best_of_logits(self.logits(piece), k), embeddings)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"weight": np.ascontiguousarray(self.weight), "bias": np.ascontiguousarray(self.bias)}, folder / FILE)

    def export_onnx(self, path: Path) -> None:
        """Input `embeddings` float32 [n, d], output `logits` float32 [n, classes]."""
        classes, d = self.weight.shape
        graph = helper.make_graph(
            [helper.make_node("Gemm", ["embeddings", "weight", "bias"], ["logits"], transB=1)],
            "linear",
            [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["n", d])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", classes])],
            [numpy_helper.from_array(self.weight, "weight"), numpy_helper.from_array(self.bias, "bias")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.checker.check_model(model)
        onnx.save(model, path)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What save wrote: it answers; it is not fitted again."""
        loaded = cls.__new__(cls)
        Linear.__init__(loaded, **load_file(folder / FILE))
        return loaded
