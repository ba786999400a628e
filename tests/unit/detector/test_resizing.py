import cv2
import numpy as np
import pytest

from crystal_eyes.detector.resizing import resize


def picture(height: int, width: int) -> np.ndarray:
    coarse = np.random.default_rng([height, width]).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("size", [(1000, 1000), (720, 1280), (487, 333), (3000, 900), (385, 384), (999, 2)])
def test_shrinking_gives_exactly_the_pixels_of_opencv(size):
    scale = 384 / max(size)
    width, height = max(1, round(size[1] * scale)), max(1, round(size[0] * scale))
    expected = cv2.resize(picture(*size), (width, height), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(resize(picture(*size), width, height), expected)


@pytest.mark.parametrize("size", [(48, 48), (1, 50), (50, 1), (1, 1), (100, 383)])
def test_enlarging_gives_the_pixels_of_opencv_within_one_level(size):
    scale = 384 / max(size)
    width, height = max(1, round(size[1] * scale)), max(1, round(size[0] * scale))
    expected = cv2.resize(picture(*size), (width, height), interpolation=cv2.INTER_LINEAR)
    found = resize(picture(*size), width, height)
    assert found.shape == expected.shape and np.abs(found.astype(int) - expected).max() <= 1
