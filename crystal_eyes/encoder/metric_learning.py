"""Trains an encoder by metric learning: heads of a character close together, those of others far away."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder.loop import Course, device_here, embed, parts, run_course
from crystal_eyes.encoder.losses import Objective
from crystal_eyes.encoder.network import Encoder
from crystal_eyes.encoder.recipes import Recipe
from crystal_eyes.encoder.sampling import epoch_rows, joined
from crystal_eyes.encoder.whitening import SHRINKAGE, fold, whitening_matrix, within_covariance
from crystal_eyes.errors import UserError
from pipeline.parameters.steps import Train


class MetricLearning(torch.nn.Module):
    """The task (see training.Task): an objective, and the batches that it takes."""

    def __init__(self, objective: Objective, labels: np.ndarray, rows: Callable[[int], np.ndarray]):
        super().__init__()
        self.objective, self.labels, self.rows = objective, labels, rows

    def forward(self, encoder, pictures: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        return self.objective(encoder(pictures), torch.from_numpy(self.labels[rows]).to(pictures.device))


def train(
    encoder: Encoder,
    catalogue: Catalogue,
    config: Train,
    recipe: Recipe,
    workspace: Path,
    on_epoch: Callable[[int, dict[str, float]], None],
) -> int:
    """Train in place and leave the encoder with the weights of its best epoch; returns that epoch (from 1).

    workspace, on_epoch: see training.run_course. Raises UserError where the catalogue has too few characters.
    """
    learn, _ = parts(catalogue)
    names, labels = np.unique(learn["character"], return_inverse=True)
    per_class = config.pictures_per_class
    batch = min(config.batch_size // per_class, len(names)) * per_class
    if batch < 2 * per_class:
        raise UserError(f"batch_size {config.batch_size} holds fewer than 2 characters of {per_class} pictures: raise it")
    steps = max(1, len(learn) // batch)
    groups = joined(labels, learn["set"].to_numpy(str), batch // per_class)
    torch.manual_seed(config.seed)
    task = MetricLearning(
        Objective(recipe, len(names), encoder.description.embedding_size),
        labels,
        lambda seed: epoch_rows(labels, groups, recipe.one_set, per_class, batch, steps, seed),
    )
    # small is cheap, and what was learned of it holds (Tan and Le, 2021; larger when it serves: Touvron et al., 2019)
    shares = [recipe.sides[epoch * len(recipe.sides) // config.epochs] for epoch in range(config.epochs)]
    sides = tuple(round(config.image_size * share) for share in shares)
    course = Course(sides, batch, config.learning_rate, config.weight_decay, recipe.views, config.seed)
    best = run_course(encoder, task, catalogue, course, workspace, on_epoch)
    if recipe.whiten:
        outputs = embed(encoder, catalogue, learn, config.image_size, device_here(), encoder.outputs)
        encoder.to("cpu")
        fold(whitening_matrix(within_covariance(outputs, labels), SHRINKAGE), outputs.mean(axis=0), encoder.backbone.classifier)
    encoder.to("cpu").eval()
    return best
