import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from crystal_eyes.encoder import resampling

PILLOW = {
    resampling.BICUBIC: Image.Resampling.BICUBIC,
    resampling.BILINEAR: Image.Resampling.BILINEAR,
    resampling.LANCZOS: Image.Resampling.LANCZOS,
}


def noise(side: int = 60) -> np.ndarray:
    """uint8 [side, side, 3]: smooth enough that rounding to 8 bits between Pillow's two passes hardly shows."""
    small = np.random.default_rng(3).integers(0, 256, (side // 4, side // 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC))


def as_tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float()


def as_array(pictures: torch.Tensor) -> np.ndarray:
    return pictures[0].permute(1, 2, 0).round().clamp(0, 255).numpy().astype(int)


def cropped(picture: np.ndarray, box: tuple[float, float, float, float], kernel: int, size: int) -> torch.Tensor:
    left, top, right, bottom = (torch.tensor([value]) for value in box)
    kernels = torch.tensor([kernel])
    rows = resampling.crop_matrix(top, bottom - top, kernels, len(picture), size)
    columns = resampling.crop_matrix(left, right - left, kernels, len(picture), size)
    return resampling.transform(as_tensor(picture), rows, columns)


@pytest.mark.parametrize("kernel", PILLOW)
@pytest.mark.parametrize("size", [17, 48, 131])
def test_a_crop_is_resized_as_pillow_does(kernel, size):
    box = (3.3, 7.7, 41.2, 55.1)
    want = np.asarray(Image.fromarray(noise()).resize((size, size), PILLOW[kernel], box=box)).astype(int)
    apart = np.abs(as_array(cropped(noise(), box, kernel, size)) - want)
    assert apart.max() <= 2 and apart.mean() < 0.3  # Pillow rounds between its two passes


def test_a_box_kernel_averages_whole_pixels():
    picture = noise(40)
    want = picture.reshape(10, 4, 10, 4, 3).mean(axis=(1, 3))
    got = cropped(picture, (0.0, 0.0, 40.0, 40.0), resampling.BOX, 10)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(got, want, atol=1e-3)


def test_a_negative_length_mirrors():
    kernel = torch.tensor([resampling.BICUBIC])
    forward = resampling.crop_matrix(torch.tensor([5.0]), torch.tensor([30.0]), kernel, 60, 20)
    backward = resampling.crop_matrix(torch.tensor([35.0]), torch.tensor([-30.0]), kernel, 60, 20)
    torch.testing.assert_close(backward, forward.flip(1))


def test_a_crop_beyond_the_picture_is_zero_there_and_unchanged_inside():
    picture = np.full((40, 40, 3), 200, np.uint8)
    got = cropped(picture, (-20.0, 0.0, 60.0, 40.0), resampling.BILINEAR, 80)
    assert (got[..., :, :20] == 0).all() and (got[..., :, 60:] == 0).all()
    torch.testing.assert_close(got[..., :, 20:60], torch.full((1, 3, 80, 40), 200.0))


def test_every_picture_of_a_batch_has_its_own_crop_and_kernel():
    picture, boxes = noise(), ((0.0, 0.0, 60.0, 60.0), (10.0, 5.0, 40.0, 33.0), (21.5, 2.0, 59.0, 47.0))
    kernels = torch.tensor(list(PILLOW))
    left, top, right, bottom = torch.tensor(boxes).T
    rows = resampling.crop_matrix(top, bottom - top, kernels, 60, 25)
    columns = resampling.crop_matrix(left, right - left, kernels, 60, 25)
    together = resampling.transform(as_tensor(picture).expand(3, -1, -1, -1), rows, columns)
    alone = torch.cat([cropped(picture, box, int(kernel), 25) for box, kernel in zip(boxes, kernels)])
    torch.testing.assert_close(together, alone)


def test_a_blur_is_pillows_within_its_approximation():
    want = np.asarray(Image.fromarray(noise()).filter(ImageFilter.GaussianBlur(3))).astype(float)[12:-12, 12:-12]
    got = as_array(resampling.blur(as_tensor(noise()), torch.tensor([3.0])))[12:-12, 12:-12]
    assert np.abs(got - want).mean() < 1.5  # Pillow's is made of box blurs


def test_a_blur_keeps_the_mean_of_a_flat_picture_and_no_sigma_changes_nothing():
    flat = torch.full((1, 1, 30, 30), 77.0)
    torch.testing.assert_close(resampling.blur(flat, torch.tensor([4.0])), flat)
    torch.testing.assert_close(resampling.blur(as_tensor(noise()), torch.tensor([0.0])), as_tensor(noise()))


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_quarter_turns_are_exact(turns):
    picture = as_tensor(noise())
    want = torch.rot90(picture, -turns, (2, 3))
    torch.testing.assert_close(resampling.rotate(picture, torch.tensor([-90.0 * turns])), want, atol=0.05, rtol=0)
