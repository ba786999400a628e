"""The base of the linear classifiers: once fitted, each is one layer of weights and biases."""

from pathlib import Path
from typing import Any

import numpy as np

from crystal_eyes.classifiers.base import Candidates, Classifier, best_of_logits, in_chunks
from crystal_eyes.onnx_storage import rounded, store_half

FILE = "linear.safetensors"


class Linear(Classifier):
    """A subclass implements fit, which sets `weight` (float32 [classes, d]) and `bias` (float32 [classes])."""

    def __init__(self, options: Any, seed: int, base: Classifier | None = None):
        super().__init__(options, seed, base)
        self.weight = np.zeros((0, 0), np.float32)
        self.bias = np.zeros(0, np.float32)

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        """float32 [n, classes] of embeddings [n, d]."""
        return np.asarray(embeddings, dtype=np.float32) @ self.weight.T + self.bias

    def top_k(self, embeddings: np.ndarray, k: int) -> Candidates:
        return in_chunks(lambda chunk: best_of_logits(self.logits(chunk), k), embeddings)

    def save(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        save_file({"weight": np.ascontiguousarray(self.weight), "bias": np.ascontiguousarray(self.bias)}, folder / FILE)

    def load(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        tensors = load_file(folder / FILE)
        self.weight, self.bias = tensors["weight"], tensors["bias"]

    def round_to_stored(self) -> None:
        """Round weights and biases to the numbers that export_onnx stores."""
        self.weight, self.bias = rounded(self.weight), rounded(self.bias)

    def export_onnx(self, path: Path) -> None:
        """Write an ONNX model: input `embeddings` float32 [n, d], output `logits` float32 [n, classes].

        Weights and biases are stored in 16 bits where they fit.
        """
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        classes, d = self.weight.shape
        graph = helper.make_graph(
            [helper.make_node("Gemm", ["embeddings", "weight", "bias"], ["logits"], transB=1)],
            "linear",
            [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["n", d])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", classes])],
            [numpy_helper.from_array(self.weight, "weight"), numpy_helper.from_array(self.bias, "bias")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        store_half(model)
        onnx.checker.check_model(model)
        onnx.save(model, path)
