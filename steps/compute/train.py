"""Trains an encoder by metric learning and writes it."""

from dataclasses import dataclass
from pathlib import Path

import torch

from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder.loop import OnEpoch
from crystal_eyes.encoder.metric_learning import train_encoder
from crystal_eyes.encoder.network import Encoder, EncoderDescription, save_encoder
from crystal_eyes.encoder.options import TrainingOptions
from crystal_eyes.encoder.weights import load_weights


@dataclass(frozen=True)
class TrainedEncoder:
    folder: Path
    best_epoch: int  # from 1
    parameters: int


def train(
    catalogue: Path,
    description: EncoderDescription,
    weights: str,
    options: TrainingOptions,
    workspace: Path,
    on_epoch: OnEpoch,
) -> TrainedEncoder:
    """Write the encoder of the best epoch to workspace/encoder. weights, on_epoch: see load_weights and run_training."""
    torch.manual_seed(options.seed)
    encoder = Encoder(description)
    load_weights(encoder, weights)
    best = train_encoder(encoder, Catalogue(catalogue), options, workspace, on_epoch)
    folder = workspace / "encoder"
    save_encoder(encoder, folder)
    return TrainedEncoder(folder, best, sum(parameter.numel() for parameter in encoder.parameters()))
