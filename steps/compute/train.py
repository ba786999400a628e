"""Trains an encoder by metric learning and writes it."""

from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder.distributed import process_number
from crystal_eyes.encoder.loop import OnEpoch
from crystal_eyes.encoder.metric_learning import train_encoder
from crystal_eyes.encoder.network import Encoder, EncoderDescription, save_encoder
from crystal_eyes.encoder.options import Processes, TrainingOptions
from crystal_eyes.encoder.processes import Job, run_job, train_in_processes
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
    processes: Processes | None = None,
) -> TrainedEncoder:
    """Write the encoder of the best epoch to workspace/encoder. weights, on_epoch: see load_weights and run_training.

    processes: that train it together, instead of this one.
    """
    folder = workspace / "encoder"
    torch.manual_seed(options.seed)
    encoder = Encoder(description)
    load_weights(encoder, weights)
    if processes:  # after the weights are loaded: downloaded once, and an error is this process's
        job = {"catalogue": str(catalogue), "description": asdict(description), "weights": weights, "options": asdict(options)}
        return TrainedEncoder(folder, **train_in_processes("steps.compute.train", job, processes, workspace, on_epoch))
    best = train_encoder(encoder, Catalogue(catalogue), options, workspace, on_epoch)
    if process_number() == 0:
        save_encoder(encoder, folder)
    return TrainedEncoder(folder, best, sum(parameter.numel() for parameter in encoder.parameters()))


def train_as_one_of_many(job: Job, workspace: Path) -> Job:
    """The same, in one of the processes."""
    trained = train(
        Path(job["catalogue"]),
        EncoderDescription(**job["description"]),
        job["weights"],
        TrainingOptions(**job["options"]),
        workspace,
        on_epoch=lambda *_: None,  # the process that started this one reads the checkpoint
    )
    return {"best_epoch": trained.best_epoch, "parameters": trained.parameters}


if __name__ == "__main__":
    run_job(train_as_one_of_many)
