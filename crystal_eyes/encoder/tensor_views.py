"""Strong augmentation of a whole batch on the training device.

The same idea as augmentation.py's "serving" views, as tensor operations, with more of what pictures do to a head: crops
from 60 to 140 %, light that changes across the face, glow, frames, badges, other backgrounds, and line art by three methods.
"""

import math

import torch

from crystal_eyes.encoder import resampling

BLUR = 1.2  # pixels for a side of 128: about the width of a drawn line
# columns of an 8 x 8 discrete cosine transform, as in JPEG
_DCT = torch.tensor(
    [[math.cos((2 * x + 1) * u * math.pi / 16) * (math.sqrt(0.125) if u == 0 else 0.5) for x in range(8)] for u in range(8)]
)


class Draws:
    """Random numbers of one batch, all from one seeded generator on its device."""

    def __init__(self, n: int, seed: int, device: torch.device):
        self.n, self.device = n, device
        self.generator = torch.Generator(device).manual_seed(seed)

    def uniform(self, low: float, high: float, *shape: int) -> torch.Tensor:
        """float32 [n, *shape]."""
        return low + (high - low) * torch.rand(self.n, *shape, generator=self.generator, device=self.device)

    def chance(self, share: float) -> torch.Tensor:
        """bool [n]."""
        return self.uniform(0, 1) < share

    def kernel(self) -> torch.Tensor:
        """int64 [n]: an index into resampling.KERNELS, bicubic for half of them."""
        other = torch.randint(1, len(resampling.KERNELS), (self.n,), generator=self.generator, device=self.device)
        return torch.where(self.chance(0.5), resampling.BICUBIC, other)

    def permutation(self) -> torch.Tensor:
        return torch.randperm(self.n, generator=self.generator, device=self.device)


def framed_and_views(heads: torch.Tensor, size: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """uint8 [n, size, size, 3] twice: each head as cropped and rotated, in its own colors, and the view made from it.

    heads: uint8 [n, side, side, 4], RGB multiplied by alpha, and alpha.
    """
    draws = Draws(len(heads), seed, heads.device)
    # 16 bits are enough for 8-bit colors, and twice as fast, where the device multiplies them
    kind = torch.float16 if heads.device.type == "cuda" else torch.float32
    framed = _framed(heads.permute(0, 3, 1, 2).to(kind), size, draws)
    return _as_bytes(framed), _as_bytes(_shown(framed, draws))


def _as_bytes(pictures: torch.Tensor) -> torch.Tensor:
    return pictures.float().round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _where(chosen: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.where(chosen.view(-1, *[1] * (b.ndim - 1)), a, b)


def _framed(heads: torch.Tensor, size: int, draws: Draws) -> torch.Tensor:
    """float [n, 3, size, size] from premultiplied float [n, 4, side, side]."""
    side = heads.shape[-1]
    # a part of 75 to 100 % of each side; for some 60 to 100 %, or up to 140 %
    kind = draws.uniform(0, 1)
    share = draws.uniform(0.75, 1.0, 2)
    share = _where(kind < 0.15, draws.uniform(0.6, 1.0, 1) * draws.uniform(0.9, 1.0, 2), share)
    share = _where(kind > 0.75, draws.uniform(1.0, 1.4, 1) * draws.uniform(0.9, 1.0, 2), share)
    length = share * side
    start = draws.uniform(0, 1, 2) * (side - length)
    kernel = draws.kernel()
    mirrored = draws.chance(0.5)
    left = torch.where(mirrored, start[:, 0] + length[:, 0], start[:, 0])
    width = torch.where(mirrored, -length[:, 0], length[:, 0])
    rows = resampling.crop_matrix(start[:, 1], length[:, 1], kernel, side, size).to(heads.dtype)
    columns = resampling.crop_matrix(left, width, kernel, side, size).to(heads.dtype)
    pictures = resampling.transform(heads, rows, columns)
    degrees = draws.uniform(-20, 20) * draws.chance(0.3)
    pictures = resampling.rotate(pictures, degrees)
    background = _backgrounds(pictures[:, :3], draws)
    return pictures[:, :3] + background * (1 - pictures[:, 3:] / 255).clamp(0, 1)


def _backgrounds(pictures: torch.Tensor, draws: Draws) -> torch.Tensor:
    """float [n, 3, size, size]: white, one color, two colors, or another head, blurred."""
    n, _, size, _ = pictures.shape
    kind = draws.uniform(0, 1)
    color, other = (draws.uniform(0, 255, 3, 1, 1).to(pictures.dtype) for _ in range(2))
    color = _where(kind < 0.4, torch.full_like(color, 255), color)
    ramp = _ramp(size, draws).to(pictures.dtype)
    plain = _where(kind < 0.7, color.expand(n, 3, size, size), color * (1 - ramp) + other * ramp)
    return _where(kind > 0.85, resampling.blur(pictures[draws.permutation()], draws.uniform(2, 12)), plain)


def _ramp(size: int, draws: Draws) -> torch.Tensor:
    """float32 [n, 1, size, size] from 0 to 1 in a random direction."""
    place = torch.linspace(-1, 1, size, device=draws.device)
    angle = draws.uniform(0, 2 * math.pi)[:, None, None, None]
    along = torch.cos(angle) * place + torch.sin(angle) * place[:, None]
    return (0.5 + 0.5 * along * draws.uniform(0.6, 2.0, 1, 1, 1) + draws.uniform(-0.3, 0.3, 1, 1, 1)).clamp(0, 1)


def _shown(framed: torch.Tensor, draws: Draws) -> torch.Tensor:
    pictures = _covered(framed, draws)
    kind = draws.uniform(0, 1)
    colored = _enhanced(pictures, draws)
    colored = _where((kind > 0.2) & (kind < 0.55), _lit(colored, draws), colored)
    pictures = _where(kind < 0.2, _sketched(pictures, draws), colored)
    size = pictures.shape[-1]
    small = resampling.resize(pictures, round(size * 0.55), draws.kernel())
    blurred = resampling.resize(small, size, torch.zeros(len(small), dtype=torch.int64, device=small.device))
    pictures = _where(draws.chance(0.15), blurred, pictures)
    return _where(draws.chance(0.2), _compressed(pictures, draws), pictures)


def _box(size: int, low: float, high: float, draws: Draws) -> torch.Tensor:
    """bool [n, 1, size, size]: inside a random rectangle with sides of low to high of the picture's."""
    sides = draws.uniform(low, high, 2)
    start = draws.uniform(0, 1, 2) * (1 - sides)
    place = (torch.arange(size, device=draws.device) + 0.5) / size
    inside = (place >= start[..., None]) & (place < (start + sides)[..., None])
    return (inside[:, 0, :, None] & inside[:, 1, None, :])[:, None]


def _covered(pictures: torch.Tensor, draws: Draws) -> torch.Tensor:
    """A rectangle in one color or from another head, a frame, or badges in corners, over some pictures."""
    n, _, size, _ = pictures.shape
    color = draws.uniform(0, 255, 3, 1, 1).to(pictures.dtype)
    patch = _where(draws.chance(0.5), color.expand(n, 3, size, size), pictures[draws.permutation()])
    kind = draws.uniform(0, 1)
    place = (torch.arange(size, device=draws.device) + 0.5) / size
    border = draws.uniform(0.02, 0.09, 1)
    edge = torch.minimum(place, 1 - place) < border
    frame = (edge[:, None, :] | edge[:, :, None])[:, None]
    across, down = (torch.where(draws.chance(0.5)[:, None], place, 1 - place) for _ in range(2))  # from one of the corners
    radius = draws.uniform(0.12, 0.35, 1, 1, 1)
    badge = (across[:, None, None, :] ** 2 + down[:, None, :, None] ** 2) < radius**2
    mask = _where(kind < 0.2, _box(size, 0.15, 0.4, draws), torch.zeros_like(frame))
    mask = _where((kind > 0.9) & (kind < 0.95), frame, mask)
    mask = _where(kind > 0.95, badge, mask)
    return torch.where(mask, patch, pictures)


def _luminance(pictures: torch.Tensor) -> torch.Tensor:
    weights = torch.tensor([0.299, 0.587, 0.114], device=pictures.device, dtype=pictures.dtype)
    return (pictures * weights[:, None, None]).sum(dim=1, keepdim=True)


def _enhanced(pictures: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Brightness, contrast and saturation, each changed by up to 30 %."""
    factors = draws.uniform(0.7, 1.3, 3, 1, 1, 1).to(pictures.dtype)
    pictures = (pictures * factors[:, 0]).clamp(0, 255)
    middle = _luminance(pictures).float().mean(dim=(2, 3), keepdim=True).to(pictures.dtype)
    pictures = (middle + (pictures - middle) * factors[:, 1]).clamp(0, 255)
    gray = _luminance(pictures)
    return (gray + (pictures - gray) * factors[:, 2]).clamp(0, 255)


def _lit(pictures: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Colored light: a gain for each channel, the same everywhere or changing across the picture; some with a glow."""
    size = pictures.shape[-1]
    one, two = draws.uniform(0.7, 1.3, 3, 1, 1), draws.uniform(0.55, 1.45, 3, 1, 1)
    two = _where(draws.chance(0.5), one, two)
    ramp = _ramp(size, draws)
    pictures = (pictures * (one * (1 - ramp) + two * ramp).to(pictures.dtype)).clamp(0, 255)
    place = torch.linspace(0, 1, size, device=draws.device)
    center, radius = draws.uniform(0, 1, 2, 1), draws.uniform(0.15, 0.6, 1, 1, 1)
    apart = ((place - center[:, 0]) ** 2)[:, None, None, :] + ((place - center[:, 1]) ** 2)[:, None, :, None]
    strength = draws.uniform(0, 0.7, 1, 1, 1) * draws.chance(0.3).view(-1, 1, 1, 1)
    glow = (strength * torch.exp(-apart / radius**2)).to(pictures.dtype)
    return pictures + (draws.uniform(120, 255, 3, 1, 1).to(pictures.dtype) - pictures) * glow


def _sketched(pictures: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Gray, screentone, or line art by one of three methods."""
    size = pictures.shape[-1]
    gray = _luminance(pictures)
    width = draws.uniform(0.7, 1.6) * size / 128
    fine, coarse = resampling.blur(gray, 0.33 * width), resampling.blur(gray, 3 * BLUR * width)
    gain = draws.uniform(4, 9, 1, 1, 1).to(gray.dtype)
    darker = (255 - ((coarse - fine) * gain - 4 * gain).clamp(0, 255)).clamp(0, 255)
    dodge = (fine.float() / coarse.float().clamp(min=1) * 255).clamp(0, 255)
    dodge = (255 - (255 - dodge) * draws.uniform(1.5, 4, 1, 1, 1)).clamp(0, 255).to(gray.dtype)
    smooth = resampling.blur(gray, 0.8 * width)
    across = smooth[..., :, 1:] - smooth[..., :, :-1]
    down = smooth[..., 1:, :] - smooth[..., :-1, :]
    steep = torch.nn.functional.pad(across, (0, 1)).abs() + torch.nn.functional.pad(down, (0, 0, 0, 1)).abs()
    edges = (255 - (steep - 3).clamp(min=0) * gain * 2).clamp(0, 255)
    lines = _where(draws.chance(0.6), darker, _where(draws.chance(0.5), dodge, edges))
    place = torch.arange(size, device=gray.device, dtype=torch.float32)
    x = place * (2 * math.pi / max(4.5, size / 30))
    grid = 128 + 64 * (torch.sin(x + x[:, None]) + torch.sin(x - x[:, None]))
    dots = torch.where(gray > grid.to(gray.dtype), 255, 0).to(gray.dtype)
    kind = draws.uniform(0, 1)
    chosen = _where(kind < 0.35, gray, _where(kind > 0.85, torch.minimum(dots, lines), lines))
    return chosen.expand(-1, 3, -1, -1)


def _compressed(pictures: torch.Tensor, draws: Draws) -> torch.Tensor:
    """JPEG's loss: coefficients of 8 x 8 blocks are rounded to multiples that grow with the frequency."""
    n, channels, size, _ = pictures.shape
    padded = -(-size // 8) * 8
    pad = (0, padded - size) * 2
    values = torch.nn.functional.pad(pictures.float(), pad, mode="replicate") - 128
    blocks = values.view(n, channels, padded // 8, 8, padded // 8, 8).transpose(3, 4)
    dct = _DCT.to(pictures.device)
    coefficients = dct @ blocks @ dct.T
    frequency = torch.arange(8, device=pictures.device, dtype=torch.float32)
    step = 16 + 7 * (frequency + frequency[:, None])  # about the standard's luminance table
    quality = draws.uniform(0.2, 1.2).view(-1, 1, 1, 1, 1, 1) * step
    blocks = dct.T @ ((coefficients / quality).round() * quality) @ dct
    values = blocks.transpose(3, 4).reshape(n, channels, padded, padded)[..., :size, :size]
    return (values + 128).clamp(0, 255).to(pictures.dtype)
