"""Trains an encoder by metric learning: heads of one character close together, heads of different characters far apart."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder.distributed import process_number, require_equal_parts, whole_batch
from crystal_eyes.encoder.loop import (
    Network,
    OnEpoch,
    TrainingPlan,
    run_training,
    training_and_validation_heads,
)
from crystal_eyes.encoder.losses import EncoderLoss
from crystal_eyes.encoder.network import Encoder
from crystal_eyes.encoder.options import TrainingOptions
from crystal_eyes.encoder.refit import refit_embedding_layer
from crystal_eyes.encoder.sampling import epoch_rows, group_by_set
from crystal_eyes.errors import UserError


class MetricLearning(torch.nn.Module):
    """The task of metric learning (see loop.Task): a loss, and the rows of each epoch."""

    def __init__(self, loss: EncoderLoss, labels: np.ndarray, rows: Callable[[int], np.ndarray]):
        super().__init__()
        # checkpoints hold the loss under this name
        self.objective, self.labels, self.rows = loss, labels, rows

    def forward(self, encoder: Network, heads: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        labels = torch.from_numpy(self.labels[rows]).to(heads.device)
        return self.objective(whole_batch(encoder(heads)), whole_batch(labels))


def train_encoder(encoder: Encoder, catalogue: Catalogue, options: TrainingOptions, workspace: Path, on_epoch: OnEpoch) -> int:
    """Train in place, keep the weights of the best epoch, and return that epoch (from 1).

    workspace, on_epoch: see loop.run_training. Raises UserError where the catalogue has too few characters, or a batch
    cannot hold two of them.
    """
    train, _ = training_and_validation_heads(catalogue)
    names, labels = np.unique(train["character"], return_inverse=True)
    per_class, size = options.pictures_per_class, encoder.description.image_size
    batch = min(options.batch_size // per_class, len(names)) * per_class
    if batch < 2 * per_class:
        raise UserError(
            f"batch_size {options.batch_size} is too small for 2 characters with {per_class} pictures each: raise it"
        )
    require_equal_parts(batch // per_class, "characters")  # a character's heads stay together
    steps = max(1, len(train) // batch)
    groups = group_by_set(labels, train["set"].to_numpy(str), batch // per_class)
    torch.manual_seed(options.seed)
    task = MetricLearning(
        EncoderLoss(options.arcface_weight, len(names), encoder.description.embedding_size),
        labels,
        lambda seed: epoch_rows(labels, groups, options.same_set_share, per_class, batch, steps, seed),
    )
    # small views first: they are cheap, and what is learned from them carries over (Tan and Le, 2021); the finished encoder
    # sees larger heads than in training (Touvron et al., 2019)
    shares = options.side_shares
    if options.until is None:
        shares = tuple(shares[epoch * len(shares) // options.epochs] for epoch in range(options.epochs))
    plan = TrainingPlan(
        tuple(round(size * share) for share in shares),
        batch,
        options.learning_rate,
        options.weight_decay,
        options.views,
        options.seed,
        until=options.until,
    )
    best = run_training(encoder, task, catalogue, plan, workspace, on_epoch)
    if options.refit and not process_number():
        refit_embedding_layer(encoder, catalogue, train)
    encoder.to("cpu").eval()
    return best
