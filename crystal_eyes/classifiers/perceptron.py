"""The Perceptron: one linear layer on the embedding, trained with cross-entropy."""

import math
from pathlib import Path
from typing import Self

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file, save_file

from crystal_eyes.classifiers.base import best

FILE = "perceptron.safetensors"
BATCH = 256


class Perceptron:
    def __init__(self, epochs: int, learning_rate: float, seed: int):
        self.epochs, self.learning_rate, self.seed = epochs, learning_rate, seed
        self.layer: torch.nn.Linear | None = None

    def fit(self, embeddings: np.ndarray, labels: np.ndarray) -> None:
        torch.manual_seed(self.seed)
        x, y = torch.from_numpy(np.array(embeddings, dtype=np.float32)), torch.from_numpy(np.array(labels))
        # numbers of a unit-length embedding are about 1/sqrt(d): brought to about 1, where a linear layer learns well
        scale = math.sqrt(x.shape[1])
        self.layer = torch.nn.Linear(x.shape[1], int(y.max()) + 1)
        torch.nn.init.zeros_(self.layer.weight)
        torch.nn.init.zeros_(self.layer.bias)
        optimizer = torch.optim.AdamW(self.layer.parameters(), self.learning_rate, weight_decay=1e-2)
        total = self.epochs * math.ceil(len(x) / BATCH)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total)
        for _ in range(self.epochs):
            for rows in torch.randperm(len(x)).split(BATCH):
                loss = torch.nn.functional.cross_entropy(self.layer(x[rows] * scale), y[rows])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
        with torch.no_grad():
            self.layer.weight.mul_(scale)  # from now on it takes embeddings as they are

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        """float32 [n, classes] of embeddings [n, d]."""
        with torch.inference_mode():
            return self.layer(torch.from_numpy(np.array(embeddings, dtype=np.float32))).numpy()

    def top_k(self, embeddings: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        return best(torch.from_numpy(self.logits(embeddings)).softmax(dim=1).numpy(), k)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"weight": self.layer.weight.detach(), "bias": self.layer.bias.detach()}, folder / FILE)

    def export_onnx(self, path: Path) -> None:
        """Input `embeddings` float32 [n, d], output `logits` float32 [n, classes]."""
        weight, bias = (p.detach().numpy() for p in (self.layer.weight, self.layer.bias))
        graph = helper.make_graph(
            [helper.make_node("Gemm", ["embeddings", "weight", "bias"], ["logits"], transB=1)],
            "perceptron",
            [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["n", weight.shape[1]])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", weight.shape[0]])],
            [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.checker.check_model(model)
        onnx.save(model, path)

    @classmethod
    def load(cls, folder: Path) -> Self:
        state = load_file(folder / FILE)
        loaded = cls(epochs=0, learning_rate=0.0, seed=0)
        loaded.layer = torch.nn.Linear(*reversed(state["weight"].shape))
        loaded.layer.load_state_dict(state)
        return loaded
