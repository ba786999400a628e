import imagehash
import numpy as np
import pytest
from PIL import Image, ImageOps

from crystal_eyes.image_stats import HASH_SIDE, difference_hash, is_monochrome


def blotches(seed: int, side: int = 64, cells: int = 9) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (cells, cells, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)


@pytest.mark.parametrize(
    "picture",
    [*(blotches(seed, side) for seed, side in enumerate((16, 17, 64, 300))), Image.new("RGB", (40, 9), "red")],
    ids=lambda picture: f"{picture.width}x{picture.height}",
)
def test_the_hash_is_imagehashs(picture):
    expected = imagehash.dhash(picture, hash_size=HASH_SIDE).hash
    np.testing.assert_array_equal(np.unpackbits(difference_hash(picture).view(np.uint8)), expected.ravel())


def test_the_hash_of_a_picture_does_not_depend_on_its_size():
    big, small, other = difference_hash(blotches(1, 256)), difference_hash(blotches(1, 64)), difference_hash(blotches(2))
    assert big.nbytes * 8 == 256 and 40 < np.bitwise_count(big).sum() < 216
    assert np.bitwise_count(big ^ small).sum() <= 6 < 60 < np.bitwise_count(big ^ other).sum()


@pytest.mark.parametrize(
    "picture, expected",
    [
        (blotches(1), False),
        (ImageOps.grayscale(blotches(1)).convert("RGB"), True),
        (ImageOps.colorize(ImageOps.grayscale(blotches(1)), (0, 0, 0), (255, 250, 245)), True),
        (ImageOps.colorize(ImageOps.grayscale(blotches(1)), (60, 30, 0), (255, 220, 180)), False),
    ],
    ids=["color", "gray", "yellowed paper", "sepia"],
)
def test_monochrome_is_a_picture_with_hardly_a_hue(picture, expected):
    assert is_monochrome(picture) is expected
