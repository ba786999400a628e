"""The perceptron: one linear layer on the embedding, trained with cross-entropy."""

import math
from dataclasses import dataclass

import numpy as np

from crystal_eyes.classifiers.linear import Linear
from crystal_eyes.options import option

BATCH = 256


class Perceptron(Linear):
    name = "perceptron"

    @dataclass(frozen=True)
    class Options:
        epochs: int = option(60, "passes over the training part", low=1, high=10_000)
        learning_rate: float = option(1e-2, "peak learning rate of AdamW", low=1e-7, high=10.0)

    def fit(self, embeddings: np.ndarray, labels: np.ndarray) -> None:
        import torch

        torch.manual_seed(self.seed)
        x, y = torch.from_numpy(np.array(embeddings, dtype=np.float32)), torch.from_numpy(np.array(labels))
        # the components of a unit-length embedding are about 1/sqrt(d); a linear layer learns well from inputs of about 1
        scale = math.sqrt(x.shape[1])
        layer = torch.nn.Linear(x.shape[1], int(y.max()) + 1)
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
        optimizer = torch.optim.AdamW(layer.parameters(), self.options.learning_rate, weight_decay=1e-2)
        total = self.options.epochs * math.ceil(len(x) / BATCH)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total)
        for _ in range(self.options.epochs):
            for rows in torch.randperm(len(x)).split(BATCH):
                loss = torch.nn.functional.cross_entropy(layer(x[rows] * scale), y[rows])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
        # the scale goes into the weights: the finished layer takes embeddings as they are
        self.weight, self.bias = (layer.weight.detach() * scale).numpy(), layer.bias.detach().numpy()
