"""The training loop of an encoder, independent of its task; the epoch with the best MAP@R on unseen characters is kept.

All randomness is seeded at the start of an epoch from (seed, epoch), and each augmentation from (seed, epoch, position), so a
training run that is resumed at the end of an epoch gives the same encoder on a CPU, for any number of workers.
"""

import itertools
import math
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader

from crystal_eyes.data.catalogue import Catalogue, artworks
from crystal_eyes.encoder import distributed
from crystal_eyes.encoder.checkpoint import CHECKPOINT, load_checkpoint, pack_optimizer, save_checkpoint, unpack_optimizer
from crystal_eyes.encoder.dataset import DecodedHeads, HeadViews, cache_bytes
from crystal_eyes.encoder.device_heads import DeviceHeads
from crystal_eyes.encoder.network import Encoder
from crystal_eyes.encoder.options import STRONG
from crystal_eyes.errors import UserError
from crystal_eyes.evaluation.retrieval import retrieval
from crystal_eyes.images import fit
from crystal_eyes.progress import track

WARMUP = 0.1  # share of all steps
Network = Callable[[torch.Tensor], torch.Tensor]
EpochMetrics = dict[str, float]
OnEpoch = Callable[[int, EpochMetrics], None]


@dataclass(frozen=True)
class TrainingPlan:
    """How an encoder is trained, independent of the task."""

    sides: tuple[int, ...]  # side of the views in each epoch, pixels
    batch_size: int
    learning_rate: float  # peak
    weight_decay: float
    views: str  # which augmentation
    seed: int
    framed: bool = False  # the task is given each head framed, in its own colors, together with the view made from it
    # a time of time.monotonic(): train until then, in as many epochs as that takes. Learning rate and sides follow the clock
    until: float | None = None

    def side(self, progress: float) -> int:
        """The side of the views when this share of the training is done."""
        return self.sides[min(int(progress * len(self.sides)), len(self.sides) - 1)]


class Task(Protocol):
    """The objective of a training run. Also a torch module: its own parameters are trained with the encoder's."""

    def rows(self, seed: int) -> np.ndarray:
        """int64: the rows of the training heads in one epoch, in order."""

    def __call__(self, encoder: Network, heads: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        """The loss of uint8 heads [n, side, side, 3], which are views of these rows. encoder: heads to embeddings.

        With TrainingPlan.framed, heads are [n, 2, side, side, 3]: the framed head and its view.
        """

    def parameters(self) -> Iterator[torch.nn.Parameter]: ...
    def state_dict(self) -> dict[str, torch.Tensor]: ...
    def load_state_dict(self, state_dict: dict[str, torch.Tensor]) -> object: ...
    def to(self, device: torch.device) -> object: ...


def training_and_validation_heads(catalogue: Catalogue) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows that an encoder is trained on, and those that select its best epoch. Raises UserError if there are too few.

    Neither contains the classifiers' test heads of the training characters: nothing is selected on reported heads.
    """
    table = catalogue.table()
    train, validation = (table[table["encoder_split"] == part].reset_index(drop=True) for part in ("train", "validation"))
    characters = train["character"].nunique()
    if characters < 2 or validation.empty:
        raise UserError(
            f"too little data: {characters} characters for training, {len(validation)} heads for validation; add characters"
        )
    return train, validation


def run_training(
    encoder: Encoder, task: Task, catalogue: Catalogue, plan: TrainingPlan, workspace: Path, on_epoch: OnEpoch
) -> int:
    """Train in place, load the weights of the best epoch, and return that epoch (from 1).

    workspace: folder of the checkpoint; a complete one found there is resumed. on_epoch is called once for every epoch,
    including those of a resumed checkpoint, with loss, map_at_r, precision_at_1, pictures_per_second, learning_rate. The
    encoder stays on the device that it was trained on. Of the processes of a distributed training (see distributed), the
    first ends with the result. Raises UserError where the loss or the embeddings become non-finite.
    """
    train, validation = training_and_validation_heads(catalogue)
    distributed.require_equal_parts(plan.batch_size, "heads")
    device, size = training_device(), encoder.description.image_size
    move_to(device, encoder)
    task.to(device)
    trained = [*encoder.parameters(), *task.parameters()]
    optimizer = torch.optim.AdamW(trained, plan.learning_rate, weight_decay=plan.weight_decay)
    batches = training_batches(catalogue, train, plan, device)
    validation_heads = ServedHeads(catalogue, validation.iloc[distributed.own_rows(len(validation))], size, device)

    def embeddings_of(batch: torch.Tensor) -> torch.Tensor:
        with mixed_precision(device):
            return encoder(batch)

    history: list[EpochMetrics] = []
    best = _with_prefix("best.", encoder)
    if found := distributed.first_then_others(lambda: load_checkpoint(workspace / CHECKPOINT)):
        tensors, state = found
        history = state["history"]
        encoder.load_state_dict(_without_prefix("last.", tensors))
        task.load_state_dict(_without_prefix("task.", tensors))
        unpack_optimizer(optimizer, tensors)
        best = {name: value for name, value in tensors.items() if name.startswith("best.")}
        for epoch, metrics in enumerate(history, 1):
            on_epoch(epoch, metrics)
    objective = distributed.shared_objective(encoder, task, embeddings_of)
    epochs, begin = len(plan.sides), time.monotonic()
    progress = 0.0
    for epoch in itertools.count(len(history) + 1):
        if progress >= 1 or (plan.until is None and epoch > epochs):
            break
        seed = plan.seed * 100_003 + epoch
        torch.manual_seed(distributed.own_seed(seed))
        order = task.rows(seed)
        steps = len(order) // plan.batch_size
        encoder.train()
        start, losses, rate = time.perf_counter(), [], 0.0
        name = f"epoch {epoch}" if plan.until else f"epoch {epoch}/{epochs}"
        side = plan.side(progress) if plan.until else plan.sides[epoch - 1]
        for step, (batch, rows) in enumerate(track(batches(order, side, epoch), steps, name, "batches")):
            # computed from the step or the clock alone, unlike torch's schedulers: a resumed training restores no scheduler
            if plan.until:
                progress = distributed.from_first((time.monotonic() - begin) / max(plan.until - begin, 1e-3), device)
                rate = plan.learning_rate * learning_rate_share(int(min(progress, 1) * 1000), 1000)
            else:
                rate = plan.learning_rate * learning_rate_share((epoch - 1) * steps + step, epochs * steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = objective(batch.to(device), rows)
            if not torch.isfinite(loss):
                raise UserError(f"the loss became {loss.item()} in epoch {epoch}: lower the learning rate")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if progress >= 1:
                break
        seconds, loss_of_epoch = time.perf_counter() - start, distributed.mean(float(np.mean(losses)), device)
        embedded = distributed.of_all_rows(validation_heads.embeddings(encoder), len(validation), device)
        if not np.isfinite(embedded).all():  # the last step may have gone too far
            raise UserError(f"the embeddings became {embedded.sum()} in epoch {epoch}: lower the learning rate")
        if distributed.process_number():  # the first one selects, saves and reports
            continue
        scores = retrieval(embedded, validation["character"].to_numpy(), artworks(validation))
        metrics = {
            "loss": loss_of_epoch,
            **scores,
            "pictures_per_second": len(losses) * plan.batch_size / seconds,
            "learning_rate": rate,
        }
        history.append(metrics)
        if best_epoch(history) == epoch:
            best = _with_prefix("best.", encoder)
        tensors = _with_prefix("last.", encoder) | _with_prefix("task.", task) | best | pack_optimizer(optimizer)
        save_checkpoint(workspace / CHECKPOINT, tensors, {"history": history})
        on_epoch(epoch, metrics)
    encoder.load_state_dict(_without_prefix("best.", best))
    return best_epoch(history)


Batches = Callable[[np.ndarray, int, int], Iterator[tuple[torch.Tensor, np.ndarray]]]


def training_batches(catalogue: Catalogue, train: pd.DataFrame, plan: TrainingPlan, device: torch.device) -> Batches:
    """Makes the batches of an epoch from its rows, the side of its views, and its number: views and their rows."""
    if plan.views == STRONG:
        on_device = DeviceHeads(DecodedHeads(catalogue, train), device)

        def made_there(order: np.ndarray, side: int, epoch: int) -> Iterator[tuple[torch.Tensor, np.ndarray]]:
            for step, own in enumerate(distributed.own_positions(len(order), plan.batch_size)):
                rows = order[own]
                yield on_device.views(rows, side, (distributed.own_seed(plan.seed), epoch, step), plan.framed), rows

        return made_there
    workers = worker_count(device)
    # a worker process would keep a cache of its own, for one epoch
    heads = DecodedHeads(catalogue, train, 0 if workers else cache_bytes())

    def loaded(order: np.ndarray, side: int, epoch: int) -> Iterator[tuple[torch.Tensor, np.ndarray]]:
        views = HeadViews(heads, order, side, (plan.seed, epoch), plan.views, plan.framed)
        own = distributed.own_positions(len(order), plan.batch_size)
        loader = DataLoader(views, batch_sampler=own, num_workers=workers, prefetch_factor=4 if workers else None)
        return ((batch, rows.numpy()) for batch, rows in _batches(loader))

    return loaded


class ServedHeads:
    """A table's heads as serving shows them. With a GPU they are decoded once and kept, if they fit into cache_bytes."""

    def __init__(self, catalogue: Catalogue, table: pd.DataFrame, size: int, device: torch.device):
        self.catalogue, self.table, self.size, self.device = catalogue, table, size, device
        self.kept: torch.Tensor | None = None
        if device.type == "cuda" and 3 * size * size * len(table) <= cache_bytes():
            heads = DecodedHeads(catalogue, table)
            with ThreadPoolExecutor() as pool:
                self.kept = torch.from_numpy(np.stack(list(pool.map(lambda row: fit(heads[row], size), range(len(table))))))

    def embeddings(self, encoder: Encoder) -> np.ndarray:
        """float32 [rows, d]."""
        if self.kept is None:
            return embed_heads(encoder, self.catalogue, self.table, self.size, self.device)
        encoder.eval()
        with torch.inference_mode():
            return np.concatenate([encoder(part.to(self.device)).cpu().numpy() for part in self.kept.split(256)])


def mixed_precision(device: torch.device) -> torch.autocast:
    """The context in which a network's forward pass uses bfloat16, where the GPU has it. Older ones emulate it, more slowly."""
    there = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast("cuda", torch.bfloat16, enabled=there)


def training_device() -> torch.device:
    """CUDA where there is a GPU, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def move_to(device: torch.device, encoder: Encoder) -> None:
    """Move an encoder in place, to the memory layout that is 1.5 times as fast as the default one on CPUs."""
    encoder.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def worker_count(device: torch.device) -> int:
    """How many processes decode heads in parallel with training.

    None without a GPU: the cores alternate between decoding and the network. A worker would make every layer wait
    for the core that they share.
    """
    return max(1, len(os.sched_getaffinity(0)) // 2 // distributed.processes_here()) if device.type == "cuda" else 0


def best_epoch(history: list[EpochMetrics]) -> int:
    """The epoch (from 1) with the highest map_at_r, the last of equals; the last epoch where map_at_r is always nan."""
    values = np.array([metrics["map_at_r"] for metrics in history])
    return len(history) if np.isnan(values).all() else int(np.flatnonzero(values == np.nanmax(values))[-1]) + 1


def learning_rate_share(step: int, total: int) -> float:
    """Share of the peak learning rate: linear warm-up, then half a cosine down to 0 (Loshchilov and Hutter, 2017)."""
    warm = max(1, round(WARMUP * total))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))


def embed_heads(
    encoder: Encoder,
    catalogue: Catalogue,
    table: pd.DataFrame,
    size: int,
    device: torch.device,
    function: Network | None = None,
) -> np.ndarray:
    """float32 [rows, d]: embeddings of a table's heads, not augmented. function: computed instead of the embeddings."""
    encoder.eval()
    views = HeadViews(DecodedHeads(catalogue, table), range(len(table)), size)
    loader = DataLoader(views, 64, num_workers=worker_count(device))
    with torch.inference_mode():
        return np.concatenate([(function or encoder)(heads.to(device)).cpu().numpy() for heads, _ in _batches(loader)])


def _batches(loader: DataLoader) -> Iterator[list[torch.Tensor]]:
    """The loader's batches. torch appends a worker's error to a traceback: only its message is kept."""
    try:
        yield from loader
    except UserError as error:
        raise UserError(str(error).strip().splitlines()[-1].rpartition("UserError: ")[2]) from None


def _with_prefix(prefix: str, module: torch.nn.Module | Task) -> dict[str, torch.Tensor]:
    return {prefix + name: value.detach().cpu().clone() for name, value in module.state_dict().items()}


def _without_prefix(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
