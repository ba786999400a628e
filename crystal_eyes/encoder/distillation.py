"""Distillation: one encoder learns what two of another seed know together, and costs no more than one of them.

Teachers and student look at the same views, half of them blends of two heads: what is to be learned is how the teachers see,
between heads too, and not by heart where they put those that they were trained on (Beyer et al., Knowledge distillation: A good
teacher is patient and consistent, 2022). The teachers see a half of them mirrored, at random: what a student comes to of two
answers is their mean. Of a view without colour (grey, lines, screentone) they see the head that it was made of, in its own
colours: where a sketch is to lie is where its character lies.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder.loop import Course, device_here, embed, parts, run_course
from crystal_eyes.encoder.network import Encoder
from crystal_eyes.encoder.recipes import Recipe
from pipeline.parameters.steps import Distill

BLENDED = 0.5  # share of views
FITTED = 4096  # heads at most that the directions and the first guess of the student's layer are taken from
PENALTY = 1e-2  # of the first guess of the student's layer, as a share of its features' mean square


def embeddings(encoder: Encoder, features: np.ndarray) -> np.ndarray:
    """float32 [n, d], unit length: what an encoder makes of float32 [n, features] that its embedding layer is given."""
    layer = encoder.backbone.classifier
    with torch.inference_mode():
        outputs = layer(torch.from_numpy(features).to(layer.weight.device))
        return torch.nn.functional.normalize(outputs, dim=1).cpu().numpy()


def main_directions(values: np.ndarray, count: int) -> np.ndarray:
    """float64 [d, count]: orthonormal directions in which most of float [n, d] lies, not centred (so that angles stay)."""
    _, vectors = np.linalg.eigh(values.T.astype(np.float64) @ values)
    return vectors[:, ::-1][:, :count].copy()  # torch takes no reversed views


def fitted_layer(features: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight [d, features] and bias [d] of the linear layer that comes nearest to wanted [n, d], by ridge regression."""
    features, wanted = features.astype(np.float64), wanted.astype(np.float64)
    middle, goal = features.mean(axis=0), wanted.mean(axis=0)
    square = (features - middle).T @ (features - middle)
    square += PENALTY * np.trace(square) / len(square) * np.eye(len(square))
    weight = np.linalg.solve(square, (features - middle).T @ (wanted - goal)).T
    return weight, goal - weight @ middle


def blended(pictures: torch.Tensor) -> torch.Tensor:
    """float32: pictures [n, ...], a share of them mixed with another of the batch, by random parts."""
    n = len(pictures)
    part = torch.where(torch.rand(n) < BLENDED, torch.rand(n), 1.0).to(pictures.device).view(n, *[1] * (pictures.ndim - 1))
    pictures = pictures.float()
    return part * pictures + (1 - part) * pictures[torch.randperm(n)]


class Distillation(torch.nn.Module):
    """The task (see training.Task): what the teachers make of a view together.

    That is their embeddings side by side, turned so that the most of it lies in as many numbers as one embedding has.
    """

    def __init__(self, teachers: Sequence[Encoder], projection: np.ndarray, heads: int, batch: int):
        """projection: float [length of all embeddings, d], orthonormal columns. heads: how many there are to learn from."""
        super().__init__()
        self.teachers = tuple(teachers)  # no submodules: checkpoints don't hold what never changes
        # checkpoints hold it: another machine may turn what is equally long another way
        self.register_buffer("projection", torch.from_numpy(projection).float())
        self.heads, self.batch = heads, batch

    def rows(self, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).permutation(self.heads)[: self.heads // self.batch * self.batch]

    def together(self, pictures: torch.Tensor) -> torch.Tensor:
        """Unit-length float32 [n, d] of pictures [n, side, side, 3]."""
        with torch.no_grad():
            beside = torch.cat([teacher(pictures) for teacher in self.teachers], dim=1)
            return torch.nn.functional.normalize(beside @ self.projection, dim=1)

    def forward(self, encoder, pictures: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        framed, views = pictures.unbind(1)
        colourless = (views == views[..., :1]).flatten(1).all(dim=1).view(-1, 1, 1, 1)
        shown, views = blended(torch.stack([torch.where(colourless, framed, views), views], dim=1)).unbind(1)
        mirrored = (torch.rand(len(views)) < 0.5).to(views.device).view(-1, 1, 1, 1)
        wanted = self.together(torch.where(mirrored, shown.flip(2), shown))
        return 1 - (encoder(views) * wanted).sum(dim=1).mean()


def distil(
    teachers: Sequence[Encoder],
    catalogue: Catalogue,
    config: Distill,
    recipe: Recipe,
    workspace: Path,
    on_epoch: Callable[[int, dict[str, float]], None],
) -> tuple[Encoder, int]:
    """A new encoder that sees as the teachers do together, and its best epoch (from 1). It starts as the first of them.

    workspace, on_epoch: see training.run_course. Raises UserError where the catalogue has too few characters.
    """
    learn, _ = parts(catalogue)
    first, device = teachers[0], device_here()
    size = first.description.image_size
    # a layer's noise would keep the student from what is exactly given
    student = Encoder(replace(first.description, drop_rate=0.0, drop_connect_rate=0.0))
    student.load_state_dict(first.state_dict())
    for teacher in teachers:
        teacher.to(device, memory_format=torch.channels_last).eval()
    some = learn.sample(min(len(learn), FITTED), random_state=config.seed).reset_index(drop=True)
    features = [embed(teacher, catalogue, some, size, device, teacher.features) for teacher in teachers]
    beside = np.concatenate([embeddings(teacher, given) for teacher, given in zip(teachers, features)], axis=1)
    projection = main_directions(beside, first.description.embedding_size)
    weight, bias = fitted_layer(features[0], beside @ projection)
    with torch.no_grad():
        student.backbone.classifier.weight.copy_(torch.from_numpy(weight))
        student.backbone.classifier.bias.copy_(torch.from_numpy(bias))
    batch = min(config.batch_size, len(learn))
    task = Distillation(teachers, projection, len(learn), batch)
    sides = (round(size * recipe.sides[-1]),) * config.distill_epochs  # what the teachers saw last
    course = Course(sides, batch, config.distill_learning_rate, config.weight_decay, recipe.views, config.seed, framed=True)
    best = run_course(student, task, catalogue, course, workspace, on_epoch)
    return student.to("cpu").eval(), best
