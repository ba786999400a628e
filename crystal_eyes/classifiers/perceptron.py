"""The Perceptron: one linear layer on the embedding, trained with cross-entropy."""

import math
from pathlib import Path
from typing import Self

import numpy as np
import torch
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

    def top_k(self, embeddings: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        with torch.inference_mode():
            scores = self.layer(torch.from_numpy(np.array(embeddings, dtype=np.float32))).softmax(dim=1)
        return best(scores.numpy(), k)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"weight": self.layer.weight.detach(), "bias": self.layer.bias.detach()}, folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> Self:
        state = load_file(folder / FILE)
        loaded = cls(epochs=0, learning_rate=0.0, seed=0)
        loaded.layer = torch.nn.Linear(*reversed(state["weight"].shape))
        loaded.layer.load_state_dict(state)
        return loaded
