"""The Perceptron: one linear layer on the embedding, trained with cross-entropy."""

import math

import numpy as np
import torch

from crystal_eyes.classifiers.linear import Linear

BATCH = 256


class Perceptron(Linear):
    def __init__(self, epochs: int, learning_rate: float, seed: int):
        super().__init__()
        self.epochs, self.learning_rate, self.seed = epochs, learning_rate, seed

    def fit(self, embeddings: np.ndarray, labels: np.ndarray) -> None:
        torch.manual_seed(self.seed)
        x, y = torch.from_numpy(np.array(embeddings, dtype=np.float32)), torch.from_numpy(np.array(labels))
        # numbers of a unit-length embedding are about 1/sqrt(d): brought to about 1, where a linear layer learns well
        scale = math.sqrt(x.shape[1])
        layer = torch.nn.Linear(x.shape[1], int(y.max()) + 1)
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
        optimizer = torch.optim.AdamW(layer.parameters(), self.learning_rate, weight_decay=1e-2)
        total = self.epochs * math.ceil(len(x) / BATCH)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total)
        for _ in range(self.epochs):
            for rows in torch.randperm(len(x)).split(BATCH):
                loss = torch.nn.functional.cross_entropy(layer(x[rows] * scale), y[rows])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
        # from now on it takes embeddings as they are
        self.weight, self.bias = (layer.weight.detach() * scale).numpy(), layer.bias.detach().numpy()
