"""Cropping, resizing and blurring of a batch of square pictures as matrix products, each with its own crop and kernel.

Both operations are separable: rows and columns are multiplied by one matrix each. A GPU does this for thousands of pictures a
second.
"""

import math
from collections.abc import Callable

import torch

Kernel = Callable[[torch.Tensor], torch.Tensor]


def _cubic(x: torch.Tensor) -> torch.Tensor:
    a = -0.5  # as Pillow's
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))


def _lanczos(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x < 3, torch.sinc(x) * torch.sinc(x / 3), 0.0)


# Pillow's kernels: their values at a distance (not negative) and their radius, both in pixels of the coarser side
KERNELS: tuple[tuple[Kernel, float], ...] = (
    (_cubic, 2.0),
    (lambda x: (1 - x).clamp(min=0.0), 1.0),
    (_lanczos, 3.0),
    (lambda x: torch.where(x <= 0.5, 1.0, 0.0), 0.5),
)
BICUBIC, BILINEAR, LANCZOS, BOX = range(len(KERNELS))


def crop_matrix(start: torch.Tensor, length: torch.Tensor, kernel: torch.Tensor, source: int, size: int) -> torch.Tensor:
    """float32 [n, size, source]: maps `source` samples to `size` samples of the part from start to start + length, antialiased.

    start, length: float [n], in samples; the part may reach beyond the source, where the result is 0. kernel: int64 [n], an
    index into KERNELS. A negative length mirrors: the part then lies to the left of start. Inside the source, it computes what
    Pillow's resize(box=...) does, without its rounding.
    """
    step = (length / size)[:, None, None]
    place = torch.arange(size, device=start.device)[None, :, None] + 0.5
    center = start[:, None, None] + place * step
    scale = step.abs().clamp(min=1.0)
    samples = torch.arange(source, device=start.device)[None, None, :] + 0.5
    distance = (samples - center).abs() / scale
    weights = torch.zeros_like(distance)
    for index, (value, _) in enumerate(KERNELS):
        weights = torch.where((kernel == index)[:, None, None], value(distance), weights)
    total = weights.sum(dim=2, keepdim=True)
    inside = (center > 0) & (center < source)
    return torch.where(inside & (total.abs() > 1e-6), weights / total, 0.0)


def transform(pictures: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """[n, c, h, w] pictures with their rows multiplied by [n or 1, h2, h] and their columns by [n or 1, w2, w]."""
    return rows[:, None] @ pictures @ columns[:, None].transpose(2, 3)


def resize(pictures: torch.Tensor, size: int, kernel: torch.Tensor) -> torch.Tensor:
    """float [n, c, size, size] of square pictures [n, c, side, side]. kernel: int64 [n], an index into KERNELS."""
    n, side = len(pictures), pictures.shape[-1]
    start = torch.zeros(n, device=pictures.device)
    matrix = crop_matrix(start, torch.full_like(start, side), kernel, side, size).to(pictures.dtype)
    return transform(pictures, matrix, matrix)


def blur(pictures: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Square pictures [n, c, side, side], blurred by Gaussians with standard deviations float [n], pixels."""
    side = pictures.shape[-1]
    place = torch.arange(side, device=pictures.device, dtype=torch.float32)
    distance = place[:, None] - place[None, :]
    weights = torch.exp(-0.5 * (distance / sigma.clamp(min=1e-3)[:, None, None]) ** 2)
    matrix = (weights / weights.sum(dim=2, keepdim=True)).to(pictures.dtype)
    return transform(pictures, matrix, matrix)


def rotate(pictures: torch.Tensor, degrees: torch.Tensor) -> torch.Tensor:
    """Square pictures [n, c, side, side] rotated about their centers, bilinear; 0 where nothing was. degrees: float [n]."""
    angle = degrees * (math.pi / 180)
    cosine, sine, zero = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle)
    matrices = torch.stack([torch.stack([cosine, -sine, zero], 1), torch.stack([sine, cosine, zero], 1)], 1)
    grid = torch.nn.functional.affine_grid(matrices, list(pictures.shape), align_corners=False)
    return torch.nn.functional.grid_sample(pictures, grid.to(pictures.dtype), align_corners=False)
