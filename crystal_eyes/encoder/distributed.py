"""What the processes of one training do together. Each computes a part of every batch; all of them follow its whole gradient.

They are the processes of torch.distributed's group. Where there is none, everything here is what one process does alone.
"""

import os
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist

from crystal_eyes.errors import UserError

Result = TypeVar("Result")
Objective = Callable[[torch.Tensor, np.ndarray], torch.Tensor]  # heads and their rows -> loss
SEEDS_APART = 1_000_003


def process_count() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def process_number() -> int:
    """Which of them this one is. The first, 0, decides, writes and reports."""
    return dist.get_rank() if process_count() > 1 else 0


def processes_here() -> int:
    """How many of them share this machine's cores and memory."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1)) if process_count() > 1 else 1


def own_seed(seed: int) -> int:
    """A seed for what is random within a part of a batch; the first process's is the seed itself."""
    return seed + SEEDS_APART * process_number()


def require_equal_parts(count: int, what: str) -> None:
    """Raise UserError where so many things of a batch cannot be divided equally among the processes."""
    if count % process_count():
        raise UserError(
            f"the {count} {what} of a batch cannot be divided equally among {process_count()} processes: "
            "change the batch size or the number of processes"
        )


def own_positions(count: int, batch: int) -> list[list[int]]:
    """The positions, among `count`, that this process computes of each whole batch. See require_equal_parts."""
    part = batch // process_count()
    first = process_number() * part
    return [list(range(start + first, start + first + part)) for start in range(0, count - batch + 1, batch)]


def whole_batch(part: torch.Tensor) -> torch.Tensor:
    """The equal parts [n, ...] of all processes, in their order: [processes * n, ...].

    The gradient flows back to this process's own part, multiplied by the number of processes. So its mean over the processes,
    which DistributedDataParallel forms, is the gradient of a loss of the whole batch that each process computes alike; for
    parameters of the loss too, whose gradients all processes have in full.
    """
    count = process_count()
    if count == 1:
        return part
    parts = [torch.empty_like(part) for _ in range(count)]
    dist.all_gather(parts, part.detach().contiguous())
    if part.requires_grad:
        part.register_hook(lambda gradient: gradient * count)
        parts[process_number()] = part
    return torch.cat(parts)


def own_rows(rows: int) -> np.ndarray:
    """int64: the rows of a table that this process embeds. All processes have equally many, so some rows come twice."""
    each = -(-rows // process_count())
    return np.resize(np.arange(rows), process_count() * each)[process_number() * each :][:each]


def of_all_rows(part: np.ndarray, rows: int, device: torch.device) -> np.ndarray:
    """[rows, ...] from what each process has computed for own_rows(rows)."""
    return whole_batch(torch.from_numpy(part).to(device))[:rows].cpu().numpy() if process_count() > 1 else part


def from_first(value: float, device: torch.device) -> float:
    """The first process's value, in all processes: a clock, for example, is not the same everywhere."""
    if process_count() == 1:
        return value
    shared = torch.tensor(value, dtype=torch.float64, device=device)
    dist.broadcast(shared, 0)
    return shared.item()


def mean(value: float, device: torch.device) -> float:
    """The mean over all processes."""
    if process_count() == 1:
        return value
    shared = torch.tensor(value, dtype=torch.float64, device=device)
    dist.all_reduce(shared)
    return shared.item() / process_count()


def first_then_others(work: Callable[[], Result]) -> Result:
    """Call work, which may tidy up files, in the first process, and only then in the others."""
    if process_count() == 1:
        return work()
    if process_number():
        dist.barrier()
        return work()
    result = work()
    dist.barrier()
    return result


def shared_objective(encoder: torch.nn.Module, task: Any, embeddings_of: Callable[[torch.Tensor], torch.Tensor]) -> Objective:
    """What gives the loss of this process's part of a batch. Backward gives all processes the whole batch's gradient.

    task: see loop.Task. embeddings_of: calls the encoder. The first process's parameters and buffers are given to all.
    """
    if process_count() == 1:
        return lambda heads, rows: task(embeddings_of, heads, rows)
    _normalize_by_whole_batch(encoder)
    # of convolutions with one channel a group, whose strides can be written in two ways
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    return torch.nn.parallel.DistributedDataParallel(_Objective(encoder, task, embeddings_of))


class _Objective(torch.nn.Module):
    """DistributedDataParallel knows the parameters of one module, and is called in place of it."""

    def __init__(self, encoder: torch.nn.Module, task: Any, embeddings_of: Callable[[torch.Tensor], torch.Tensor]):
        super().__init__()
        self.encoder, self.task, self.embeddings_of = encoder, task, embeddings_of

    def forward(self, heads: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        return self.task(self.embeddings_of, heads, rows)


def _normalize_by_whole_batch(encoder: torch.nn.Module) -> None:
    """Let batch normalization use the statistics of the whole batch.

    A part has a few characters only, with all their heads: its own statistics would tell the network which ones.
    """
    if next(encoder.parameters()).device.type == "cuda":
        torch.nn.SyncBatchNorm.convert_sync_batchnorm(encoder)
        return
    for module in encoder.modules():
        if type(module) is torch.nn.BatchNorm2d:
            module.__class__ = _WholeBatchNorm


class _WholeBatchNorm(torch.nn.BatchNorm2d):
    """What torch.nn.SyncBatchNorm does, on a CPU, where that one does not work."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(values)
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        count = values.numel() // values.shape[1] * process_count()
        average = _Sum.apply(values.sum(dim=(0, 2, 3))) / count
        centered = values - average[:, None, None]
        variance = _Sum.apply((centered * centered).sum(dim=(0, 2, 3))) / count
        with torch.no_grad():
            self.running_mean.lerp_(average, self.momentum)
            self.running_var.lerp_(variance * (count / max(count - 1, 1)), self.momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked += 1
        scale = self.weight / torch.sqrt(variance + self.eps)
        return centered * scale[:, None, None] + self.bias[:, None, None]


class _Sum(torch.autograd.Function):
    """The sum of a tensor over all processes. Every process uses it, so its gradient is the sum of theirs."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor) -> torch.Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total
