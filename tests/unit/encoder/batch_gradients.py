"""A job of test_processes: the gradients of one batch, by the processes that train together."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from crystal_eyes.encoder import distributed
from crystal_eyes.encoder.losses import EncoderLoss
from crystal_eyes.encoder.metric_learning import MetricLearning
from crystal_eyes.encoder.network import Encoder, EncoderDescription
from crystal_eyes.encoder.processes import Job, run_job

LABELS = np.arange(6).repeat(2)  # of a batch of 12


class MeanOfHeads(torch.nn.Module):
    """A task whose loss is a mean over heads, as that of Distillation, whose views are random."""

    def forward(self, encoder, heads: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        target = torch.nn.functional.normalize(torch.from_numpy(np.sin(rows[:, None] + np.arange(16.0))).float(), dim=1)
        return 1 - (encoder(heads) * target).sum(dim=1).mean()


def gradients(task_name: str) -> dict[str, torch.Tensor]:
    """By parameter; also what batch normalization keeps, and the loss."""
    torch.manual_seed(0)
    encoder = Encoder(EncoderDescription(backbone="mnasnet_small", embedding_size=16, image_size=32)).train()
    encoder.double()  # 50 layers enlarge the rounding of 32 bits
    loss = EncoderLoss(0.25, 6, 16)
    task = MetricLearning(loss, LABELS, lambda seed: np.arange(12)) if task_name == "metric" else MeanOfHeads()
    heads = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8))
    objective = distributed.shared_objective(encoder, task, encoder)
    (own,) = distributed.own_positions(12, 12)
    value = objective(heads[own], np.arange(12)[own])
    value.backward()
    found = {name: parameter.grad for name, parameter in encoder.named_parameters()}
    found |= {f"task.{name}": parameter.grad for name, parameter in task.named_parameters()}
    kept = {name: buffer for name, buffer in encoder.named_buffers() if "running" in name}
    return found | kept | {"loss": torch.tensor(distributed.mean(value.item(), torch.device("cpu")))}


def work(job: Job, workspace: Path) -> Job:
    for name in job["tasks"]:
        save_file(gradients(name), workspace / f"{name}{distributed.process_number()}.safetensors")
    return {"processes": distributed.process_count()}


if __name__ == "__main__":
    run_job(work)
