"""The training loop of an encoder, whatever it is trained for, judged by MAP@R on characters it never sees.

Everything random is drawn anew at the start of an epoch from (seed, epoch), and an augmentation from (seed, epoch,
position), so a training resumed at an epoch's end gives the same encoder on a CPU, whatever the number of workers.
"""

import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader

from crystal_eyes.data.catalogue import Catalogue, artworks
from crystal_eyes.encoder.checkpoint import load_checkpoint, pack_optimizer, save_checkpoint, unpack_optimizer
from crystal_eyes.encoder.dataset import Heads, Pictures, room
from crystal_eyes.encoder.network import Encoder
from crystal_eyes.errors import UserError
from crystal_eyes.evaluation.retrieval import retrieval
from crystal_eyes.progress import track

WARMUP = 0.1  # share of all steps
Network = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Course:
    """How an encoder is trained, whatever for."""

    sides: tuple[int, ...]  # of the square it is shown, pixels, by epoch
    batch: int  # heads
    learning_rate: float  # at its peak
    weight_decay: float
    views: str  # what augmentation shows
    seed: int
    framed: bool = False  # whether the task is given both: each head as it was framed, in its own colours, and the view of it


class Task(Protocol):
    """What an encoder is trained for; also a torch module, whose own parameters are learned beside the encoder's."""

    def rows(self, seed: int) -> np.ndarray:
        """int64: which of the heads to learn from an epoch shows, in order."""

    def __call__(self, encoder: Network, pictures: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        """The loss of uint8 pictures [n, side, side, 3], which are views of these rows. encoder: gives their embeddings.

        Where the course says so, [n, 2, side, side, 3]: framed heads, and views of them.
        """


def parts(catalogue: Catalogue) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The heads that an encoder learns from, and those that judge its epochs.

    The classifiers' test part of the characters to learn from is in neither: nothing is chosen on what reports a result.
    """
    table = catalogue.table()
    learn, judge = (table[table["encoder_split"] == part].reset_index(drop=True) for part in ("train", "validation"))
    characters = learn["character"].nunique()
    if characters < 2 or judge.empty:
        raise UserError(f"{characters} characters to learn from and {len(judge)} pictures to validate on: add characters")
    return learn, judge


def run_course(
    encoder: Encoder,
    task: Task,
    catalogue: Catalogue,
    course: Course,
    workspace: Path,
    on_epoch: Callable[[int, dict[str, float]], None],
) -> int:
    """Train in place and leave the encoder with the weights of its best epoch; returns that epoch (from 1).

    workspace: where checkpoints are kept; a complete one found there is gone on from. on_epoch is called once for every
    epoch, also for those a checkpoint already holds, with loss, map_at_r, precision_at_1, pictures_per_second,
    learning_rate. The encoder is left on the device that it was trained on.
    """
    learn, judge = parts(catalogue)
    device, size = device_here(), encoder.description.image_size
    encoder.to(device, memory_format=torch.channels_last)  # 1.5 times as fast as the default layout on CPUs
    task.to(device)
    learned = [*encoder.parameters(), *task.parameters()]
    optimizer = torch.optim.AdamW(learned, course.learning_rate, weight_decay=course.weight_decay)
    workers = worker_count(device)
    # a worker would keep them for itself, and for one epoch
    pictures_of = Pictures(catalogue, learn, 0 if workers else room())
    # older GPUs only emulate it, which is slower than float32
    mixed = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)

    def embeddings_of(pictures: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cuda", torch.bfloat16, enabled=mixed):
            return encoder(pictures)

    history: list[dict[str, float]] = []
    best = _named("best.", encoder)
    if found := load_checkpoint(workspace / "checkpoint"):
        tensors, state = found
        history = state["history"]
        encoder.load_state_dict(_unnamed("last.", tensors))
        task.load_state_dict(_unnamed("task.", tensors))
        unpack_optimizer(optimizer, tensors)
        best = {name: value for name, value in tensors.items() if name.startswith("best.")}
        for epoch, metrics in enumerate(history, 1):
            on_epoch(epoch, metrics)
    epochs = len(course.sides)
    for epoch in range(len(history) + 1, epochs + 1):
        seed = course.seed * 100_003 + epoch
        torch.manual_seed(seed)
        order = task.rows(seed)
        steps = len(order) // course.batch
        heads = Heads(pictures_of, order, course.sides[epoch - 1], (course.seed, epoch), course.views, course.framed)
        loader = DataLoader(heads, course.batch, num_workers=workers, drop_last=True, prefetch_factor=4 if workers else None)
        encoder.train()
        start, losses, rate = time.perf_counter(), [], 0.0
        for step, (pictures, rows) in enumerate(track(_batches(loader), steps, f"epoch {epoch}/{epochs}", "batches")):
            rate = course.learning_rate * schedule((epoch - 1) * steps + step, epochs * steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = task(embeddings_of, pictures.to(device), rows.numpy())
            if not torch.isfinite(loss):
                raise UserError(f"the loss became {loss.item()} in epoch {epoch}: lower the learning rate")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        seconds = time.perf_counter() - start
        shown = embed(encoder, catalogue, judge, size, device)
        if not np.isfinite(shown).all():  # the last step may have gone too far
            raise UserError(f"the embeddings became {shown.sum()} in epoch {epoch}: lower the learning rate")
        judged = retrieval(shown, judge["character"], artworks(judge))
        metrics = {"loss": float(np.mean(losses)), **judged, "pictures_per_second": len(losses) * course.batch / seconds,
                   "learning_rate": rate}  # fmt: skip
        history.append(metrics)
        if best_epoch(history) == epoch:
            best = _named("best.", encoder)
        tensors = _named("last.", encoder) | _named("task.", task) | best | pack_optimizer(optimizer)
        save_checkpoint(workspace / "checkpoint", tensors, {"history": history})
        on_epoch(epoch, metrics)
    encoder.load_state_dict(_unnamed("best.", best))
    return best_epoch(history)


def device_here() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def worker_count(device: torch.device) -> int:
    """How many processes decode pictures beside the training.

    None without a GPU: the cores take turns, pictures, then the network. A worker beside it would make each of its layers wait
    for the core that they share.
    """
    return max(1, len(os.sched_getaffinity(0)) // 2) if device.type == "cuda" else 0


def best_epoch(history: list[dict[str, float]]) -> int:
    """The epoch (from 1) with the highest map_at_r, the last of equals; the last one where none could be measured."""
    values = np.array([metrics["map_at_r"] for metrics in history])
    return len(history) if np.isnan(values).all() else int(np.flatnonzero(values == np.nanmax(values))[-1]) + 1


def schedule(step: int, total: int) -> float:
    """Share of the peak learning rate: linear warm-up, then half a cosine down to 0 (Loshchilov and Hutter, 2017)."""
    warm = max(1, round(WARMUP * total))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))


def embed(encoder: Encoder, catalogue: Catalogue, table: pd.DataFrame, size: int, device, of=None) -> np.ndarray:
    """float32 [rows, d]: embeddings of a table's pictures, not augmented. of: what to take in the encoder's place."""
    encoder.eval()
    loader = DataLoader(Heads(Pictures(catalogue, table), range(len(table)), size), 64, num_workers=worker_count(device))
    with torch.inference_mode():
        return np.concatenate([(of or encoder)(pictures.to(device)).cpu().numpy() for pictures, _ in _batches(loader)])


def _batches(loader: DataLoader) -> Iterator[list[torch.Tensor]]:
    """The loader's batches. What a worker has to say to the user stays one line: torch puts it below a traceback."""
    try:
        yield from loader
    except UserError as error:
        raise UserError(str(error).strip().splitlines()[-1].rpartition("UserError: ")[2]) from None


def _named(prefix: str, module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {prefix + name: value.detach().cpu().clone() for name, value in module.state_dict().items()}


def _unnamed(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
