"""The training loop of the encoder: metric learning, judged by MAP@R on characters it never sees.

Everything random is drawn anew at the start of an epoch from (seed, epoch), and an augmentation from (seed, epoch,
position), so a training resumed at an epoch's end gives the same encoder on a CPU, whatever the number of workers.
"""

import math
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, Dataset

from crystal_eyes.augmentation import augment
from crystal_eyes.catalogue import Catalogue, PictureChanged, artworks
from crystal_eyes.checkpoint import load_checkpoint, pack_optimizer, save_checkpoint, unpack_optimizer
from crystal_eyes.config import Train
from crystal_eyes.encoder import Encoder
from crystal_eyes.errors import UserError
from crystal_eyes.metrics import retrieval
from crystal_eyes.objective import Objective
from crystal_eyes.pictures import fit, open_picture
from crystal_eyes.progress import track
from crystal_eyes.recipes import Recipe
from crystal_eyes.sampling import epoch_rows, joined
from crystal_eyes.whitening import SHRINKAGE, fold, whitening_matrix, within_covariance

WARMUP = 0.1  # share of all steps


class Heads(Dataset):
    """Head pictures by position in `order`, a list of rows; augmented where a seed is given, else as serving sees them."""

    def __init__(
        self,
        catalogue: Catalogue,
        table: pd.DataFrame,
        order,
        size: int,
        seed: tuple[int, int] | None = None,
        views: str = "light",
    ):
        self.catalogue, self.size, self.seed, self.views, self.order = catalogue, size, seed, views, order
        self.places = table[["offset", "length", "digest", "file"]].to_numpy(dtype=object)

    def __len__(self) -> int:
        return len(self.order)

    def __getitems__(self, positions: list[int]) -> list[tuple[np.ndarray, int]]:
        """A whole batch at once, on as many cores as torch may use here: all in the training process, one in a worker."""
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            return list(pool.map(self.__getitem__, positions))

    def __getitem__(self, position: int) -> tuple[np.ndarray, int]:
        row = self.order[position]
        offset, length, digest, file = self.places[row]
        try:
            picture = open_picture(self.catalogue.read(offset, length, digest))
        except PictureChanged:
            raise UserError(f"picture {file} was damaged since prepare checked it: run prepare again") from None
        if self.seed is None:
            return fit(picture, self.size), row
        return augment(picture, self.size, np.random.default_rng([*self.seed, position]), self.views), row


def train(
    encoder: Encoder,
    catalogue: Catalogue,
    config: Train,
    recipe: Recipe,
    workspace: Path,
    on_epoch: Callable[[int, dict[str, float]], None],
) -> int:
    """Train in place and leave the encoder with the weights of its best epoch; returns that epoch (from 1).

    workspace: where checkpoints are kept; a complete one found there is gone on from. on_epoch is called once for every
    epoch, also for those a checkpoint already holds, with loss, map_at_r, precision_at_1, pictures_per_second,
    learning_rate. Raises UserError where the catalogue has too few characters.
    """
    table = catalogue.table()
    learn = table[table["encoder_split"] == "train"].reset_index(drop=True)
    # the classifiers' test part of these characters stays out: nothing is chosen on what reports a result
    judge = table[table["encoder_split"] == "validation"].reset_index(drop=True)
    labels = np.unique(learn["character"], return_inverse=True)[1]
    classes = int(labels.max(initial=-1)) + 1
    if classes < 2 or judge.empty:
        raise UserError(f"{classes} characters to learn from and {len(judge)} pictures to validate on: add characters")
    per_class = config.pictures_per_class
    batch = min(config.batch_size // per_class, classes) * per_class
    if batch < 2 * per_class:
        raise UserError(f"batch_size {config.batch_size} holds fewer than 2 characters of {per_class} pictures: raise it")
    steps = max(1, len(learn) // batch)
    sets = learn["set"].to_numpy(str) if recipe.one_set_a_batch else np.zeros(len(learn), str)
    groups = joined(labels, sets, batch // per_class)

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    encoder.to(device, memory_format=torch.channels_last)  # 1.5 times as fast as the default layout on CPUs
    torch.manual_seed(config.seed)
    objective = Objective(recipe, classes, encoder.description.embedding_size).to(device)
    learned = [*encoder.parameters(), *objective.parameters()]
    optimizer = torch.optim.AdamW(learned, config.learning_rate, weight_decay=config.weight_decay)
    workers = worker_count(device)
    # older GPUs only emulate it, which is slower than float32
    mixed = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)

    history: list[dict[str, float]] = []
    best = _named("best.", encoder)
    if found := load_checkpoint(workspace / "checkpoint"):
        tensors, state = found
        history = state["history"]
        encoder.load_state_dict(_unnamed("last.", tensors))
        objective.load_state_dict(_unnamed("objective.", tensors))
        unpack_optimizer(optimizer, tensors)
        best = {name: value for name, value in tensors.items() if name.startswith("best.")}
        for epoch, metrics in enumerate(history, 1):
            on_epoch(epoch, metrics)
    for epoch in range(len(history) + 1, config.epochs + 1):
        torch.manual_seed(config.seed * 100_003 + epoch)
        rows = epoch_rows(labels, groups, per_class, batch, steps, config.seed * 100_003 + epoch)
        # small is cheap, and what was learned of it holds (Tan and Le, 2021; larger when it serves: Touvron et al., 2019)
        size = round(config.image_size * recipe.sides[(epoch - 1) * len(recipe.sides) // config.epochs])
        heads = Heads(catalogue, learn, rows, size, (config.seed, epoch), recipe.views)
        loader = DataLoader(heads, batch, num_workers=workers, drop_last=True, prefetch_factor=4 if workers else None)
        encoder.train()
        start, losses, rate = time.perf_counter(), [], 0.0
        for step, (pictures, rows) in enumerate(track(_batches(loader), steps, f"epoch {epoch}/{config.epochs}", "batches")):
            rate = config.learning_rate * schedule((epoch - 1) * steps + step, config.epochs * steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            with torch.autocast("cuda", torch.bfloat16, enabled=mixed):
                embeddings = encoder(pictures.to(device))
            loss = objective(embeddings, torch.from_numpy(labels[rows.numpy()]).to(device))
            if not torch.isfinite(loss):
                raise UserError(f"the loss became {loss.item()} in epoch {epoch}: lower learning_rate")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        seconds = time.perf_counter() - start
        shown = embed(encoder, catalogue, judge, config.image_size, device, workers)
        if not np.isfinite(shown).all():  # the last step may have gone too far
            raise UserError(f"the embeddings became {shown.sum()} in epoch {epoch}: lower learning_rate")
        judged = retrieval(shown, judge["character"], artworks(judge))
        metrics = {"loss": float(np.mean(losses)), **judged, "pictures_per_second": len(losses) * batch / seconds,
                   "learning_rate": rate}  # fmt: skip
        history.append(metrics)
        if best_epoch(history) == epoch:
            best = _named("best.", encoder)
        tensors = _named("last.", encoder) | _named("objective.", objective) | best | pack_optimizer(optimizer)
        save_checkpoint(workspace / "checkpoint", tensors, {"history": history})
        on_epoch(epoch, metrics)
    encoder.load_state_dict(_unnamed("best.", best))
    if recipe.whiten:
        whiten(encoder, catalogue, learn, labels, config.image_size, device, workers)
    encoder.to("cpu").eval()
    return best_epoch(history)


def worker_count(device: torch.device) -> int:
    """How many processes decode pictures beside the training.

    None without a GPU: the cores take turns, pictures, then the network. A worker beside it would make each of its layers wait
    for the core that they share.
    """
    return max(1, len(os.sched_getaffinity(0)) // 2) if device.type == "cuda" else 0


def whiten(encoder: Encoder, catalogue: Catalogue, table: pd.DataFrame, labels: np.ndarray, size: int, device, workers) -> None:
    """Whiten the embeddings within the characters of a table, labels int [rows]; in place, see whitening.py."""
    outputs = embed(encoder, catalogue, table, size, device, workers, encoder.outputs)
    encoder.to("cpu")
    matrix = whitening_matrix(within_covariance(outputs, labels), SHRINKAGE)
    fold(matrix, outputs.mean(axis=0), encoder.backbone.classifier)


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


def embed(encoder: Encoder, catalogue: Catalogue, table: pd.DataFrame, size: int, device, workers: int, of=None) -> np.ndarray:
    """float32 [rows, d]: embeddings of a table's pictures, not augmented. of: what to take in the encoder's place."""
    encoder.eval()
    loader = DataLoader(Heads(catalogue, table, range(len(table)), size), 64, num_workers=workers)
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
