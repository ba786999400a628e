import numpy as np
import pytest
import torch

from crystal_eyes.encoder.tensor_views import framed_and_views


def heads(n: int = 6, side: int = 40, alpha: int = 255) -> torch.Tensor:
    """uint8 [n, side, side, 4]: flat patches, premultiplied."""
    colors = np.random.default_rng(1).integers(0, 256, (n, 5, 5, 3), dtype=np.uint8).repeat(side // 5, 1).repeat(side // 5, 2)
    full = np.concatenate([colors * (alpha // 255), np.full((n, side, side, 1), alpha, np.uint8)], axis=3)
    return torch.from_numpy(full)


@pytest.mark.parametrize("size", [24, 33, 64])
def test_views_are_squares_of_uint8_rgb(size):
    for seed in range(8):
        for pictures in framed_and_views(heads(), size, seed):
            assert pictures.shape == (6, size, size, 3) and pictures.dtype == torch.uint8


def test_the_seed_alone_decides_the_views():
    first, again, other = (framed_and_views(heads(), 32, seed)[1] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_heads_themselves_are_left_as_they_are():
    given = heads()
    before = given.clone()
    framed_and_views(given, 32, 0)
    assert torch.equal(given, before)


def test_where_a_head_is_transparent_only_backgrounds_show():
    """An invisible head gives the same framed pictures whatever colors its file has: they are multiplied by alpha."""
    framed, _ = framed_and_views(heads(64, alpha=0), 32, 3)
    flat = (framed == framed[:, :1, :1]).flatten(1).all(dim=1)
    assert flat.float().mean() > 0.5  # white or one color; the others are two colors or another (invisible) head


def test_most_of_an_opaque_head_stays_in_the_frame():
    white = torch.full((64, 40, 40, 4), 255, dtype=torch.uint8)
    white[..., :3] = torch.tensor([10, 200, 30], dtype=torch.uint8)
    framed, _ = framed_and_views(white, 32, 5)
    own = (framed.int() - torch.tensor([10, 200, 30])).abs().amax(dim=3) <= 3
    share = own.flatten(1).float().mean(dim=1)
    assert share.min() > 0.35 and share.mean() > 0.8


def test_a_part_of_the_views_has_no_color_and_the_frame_always_keeps_it():
    framed, views = framed_and_views(heads(400), 24, 0)
    gray = (views == views[..., :1]).flatten(1).all(dim=1).float().mean()
    assert 0.12 < gray < 0.28
    assert not (framed == framed[..., :1]).flatten(1).all(dim=1).any()


def test_views_of_a_batch_vary_as_much_as_views_of_several_batches():
    same = heads(1).expand(30, -1, -1, -1)
    views = framed_and_views(same, 24, 0)[1]
    assert len({view.numpy().tobytes() for view in views}) == 30
