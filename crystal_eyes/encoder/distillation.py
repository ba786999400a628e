"""Distillation: one encoder learns the joint embedding of several teachers, at the inference cost of one of them.

Teachers and student are shown the same views, half of them blends of two heads: the student should reproduce how the
teachers embed points between heads too, and not memorize where they put the training heads (Beyer et al., Knowledge
distillation: A good teacher is patient and consistent, 2022). The teachers see a random half of the views mirrored: the student
learns the mean of both. For a view without color (gray, line art, screentone) the teachers see the colored head that it was
made from, so a sketch is embedded near its character.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder.distributed import process_number
from crystal_eyes.encoder.linear_fits import fit_linear_layer, principal_directions
from crystal_eyes.encoder.loop import (
    Network,
    OnEpoch,
    TrainingPlan,
    embed_heads,
    mixed_precision,
    move_to,
    run_training,
    training_and_validation_heads,
    training_device,
)
from crystal_eyes.encoder.network import Encoder
from crystal_eyes.encoder.options import DistillationOptions
from crystal_eyes.encoder.refit import refit_embedding_layer

BLENDED = 0.5  # share of views that are blends
MAX_FITTED = 4096  # heads that the projection and the student's initial embedding layer are fitted on


def embeddings_from_features(encoder: Encoder, features: np.ndarray) -> np.ndarray:
    """float32 [n, d], unit length: embeddings from the float32 inputs [n, features] of an encoder's embedding layer."""
    layer = encoder.embedding_layer
    with torch.inference_mode():
        outputs = layer(torch.from_numpy(features).to(layer.weight.device))
        return torch.nn.functional.normalize(outputs, dim=1).cpu().numpy()


def blend(heads: torch.Tensor) -> torch.Tensor:
    """float32: heads [n, ...], a share of BLENDED of them mixed with another one of the batch at random ratios."""
    n = len(heads)
    ratio = torch.where(torch.rand(n) < BLENDED, torch.rand(n), 1.0).to(heads.device).view(n, *[1] * (heads.ndim - 1))
    heads = heads.float()
    return ratio * heads + (1 - ratio) * heads[torch.randperm(n)]


class Distillation(torch.nn.Module):
    """The task of distillation (see loop.Task): reproduce the teachers' joint embedding of a view.

    The joint embedding: the teachers' concatenated embeddings, projected to the length of one embedding.
    """

    projection: torch.Tensor

    def __init__(self, teachers: Sequence[Encoder], projection: np.ndarray, heads: int, batch: int):
        """projection: float [sum of embedding sizes, d], orthonormal columns. heads: number of training heads."""
        super().__init__()
        self.teachers = tuple(teachers)  # not submodules: checkpoints need not hold what never changes
        # in the checkpoint, because another machine may order directions of equal moments differently
        self.register_buffer("projection", torch.from_numpy(projection).float())
        self.heads, self.batch = heads, batch

    def rows(self, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).permutation(self.heads)[: self.heads // self.batch * self.batch]

    def joint_embedding(self, heads: torch.Tensor) -> torch.Tensor:
        """float32 [n, d], unit length, of heads [n, side, side, 3]."""
        with torch.no_grad(), mixed_precision(heads.device):
            side_by_side = torch.cat([teacher(heads) for teacher in self.teachers], dim=1)
        return torch.nn.functional.normalize(side_by_side.float() @ self.projection, dim=1)

    def forward(self, encoder: Network, heads: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        framed, views = heads.unbind(1)
        colorless = (views == views[..., :1]).flatten(1).all(dim=1).view(-1, 1, 1, 1)
        for_teachers, views = blend(torch.stack([torch.where(colorless, framed, views), views], dim=1)).unbind(1)
        mirrored = (torch.rand(len(views)) < 0.5).to(views.device).view(-1, 1, 1, 1)
        target = self.joint_embedding(torch.where(mirrored, for_teachers.flip(2), for_teachers))
        return 1 - (encoder(views) * target).sum(dim=1).mean()


def distill_encoder(
    teachers: Sequence[Encoder], catalogue: Catalogue, options: DistillationOptions, workspace: Path, on_epoch: OnEpoch
) -> tuple[Encoder, int]:
    """A new encoder with the teachers' joint embedding, and its best epoch (from 1). It is initialized from the first teacher.

    workspace, on_epoch: see loop.run_training. Raises UserError where the catalogue has too few characters.
    """
    train, _ = training_and_validation_heads(catalogue)
    first, device = teachers[0], training_device()
    size = first.description.image_size
    # dropout would add noise to targets that are given exactly
    student = Encoder(replace(first.description, drop_rate=0.0, drop_connect_rate=0.0))
    student.load_state_dict(first.state_dict())
    for teacher in teachers:
        move_to(device, teacher)
        teacher.eval()
    sample = train.sample(min(len(train), MAX_FITTED), random_state=options.seed).reset_index(drop=True)
    features = [embed_heads(teacher, catalogue, sample, size, device, teacher.features) for teacher in teachers]
    side_by_side = np.concatenate([embeddings_from_features(*pair) for pair in zip(teachers, features)], axis=1)
    projection = principal_directions(side_by_side, first.description.embedding_size)
    weight, bias = fit_linear_layer(features[0], side_by_side @ projection)
    with torch.no_grad():
        student.embedding_layer.weight.copy_(torch.from_numpy(weight))
        student.embedding_layer.bias.copy_(torch.from_numpy(bias))
    batch = min(options.batch_size, len(train))
    task = Distillation(teachers, projection, len(train), batch)
    plan = TrainingPlan(
        (round(size * options.side_share),) * (1 if options.until else options.epochs),
        batch,
        options.learning_rate,
        options.weight_decay,
        options.views,
        options.seed,
        framed=True,
        until=options.until,
    )
    best = run_training(student, task, catalogue, plan, workspace, on_epoch)
    if options.refit and not process_number():
        refit_embedding_layer(student, catalogue, train)
    return student.to("cpu").eval(), best
