import numpy as np
import pytest

from crystal_eyes.boxes import as_boxes
from crystal_eyes.detector.training.circles import random_circles

BOXES = as_boxes([[30, 40, 70, 90], [120, 20, 180, 60], [150, 130, 156, 138]])
AT_THE_BORDER = as_boxes([[0, 0, 30, 20], [170, 130, 200, 160], [0, 150, 8, 160], [190, 60, 200, 100]])


def pattern(seed: int = 0) -> np.ndarray:
    """Extreme colors everywhere, so that every circle changes something."""
    return np.random.default_rng(seed).choice(np.array([0, 255], np.uint8), (160, 200, 3))


def changed(picture: np.ndarray, after: np.ndarray) -> np.ndarray:
    return (picture != after).any(axis=2)


def reached(box, shape, by: float) -> tuple[slice, slice]:
    left, top, right, bottom = box
    return slice(max(0, int(top - by)), int(bottom + by) + 1), slice(max(0, int(left - by)), int(right + by) + 1)


@pytest.mark.parametrize("boxes", [BOXES, AT_THE_BORDER], ids=["inside", "at the border"])
def test_every_head_is_touched_and_nothing_far_from_heads_is(boxes):
    amounts = []
    for seed in range(40):
        picture = pattern(seed)
        mask = changed(picture, random_circles(picture, boxes, np.random.default_rng(seed)))
        for box in boxes:
            assert mask[reached(box, mask.shape, 1)].any()
        amounts.append(mask.sum())
        for box in boxes:
            mask[reached(box, mask.shape, 0.25 * max(box[2] - box[0], box[3] - box[1]) + 2)] = False
        assert not mask.any()
    assert len(set(amounts)) > 30  # circles of many sizes


def test_most_of_a_head_remains_visible():
    picture, box = pattern(), as_boxes([[50, 30, 150, 130]])
    hidden = [changed(picture, random_circles(picture, box, np.random.default_rng(seed)))[30:130, 50:150].mean()
              for seed in range(60)]  # fmt: skip
    assert max(hidden) < 0.6 and np.mean(hidden) < 0.3


def test_circles_are_partly_transparent():
    black, white = np.zeros((160, 200, 3), np.uint8), np.full((160, 200, 3), 255, np.uint8)
    for seed in range(10):
        below = [random_circles(p, BOXES[:1], np.random.default_rng(seed)).astype(int) for p in (black, white)]
        assert (below[1] - below[0]).min() >= 0.15**3 * 255 - 3 and (below[1] - below[0]).min() < 200


def test_the_argument_is_left_as_it_is():
    picture, boxes = pattern(), BOXES.copy()
    random_circles(picture, boxes, np.random.default_rng(0))
    np.testing.assert_array_equal(picture, pattern())
    np.testing.assert_array_equal(boxes, BOXES)


def test_without_heads_the_picture_stays():
    np.testing.assert_array_equal(random_circles(pattern(), as_boxes([]), np.random.default_rng(0)), pattern())


def test_the_seed_decides():
    first, again, other = (random_circles(pattern(), BOXES, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1)])
def test_tiny_pictures_are_handled(size):
    picture = np.full((*size, 3), 128, np.uint8)
    boxes = as_boxes([[0, 0, size[1], size[0]]])
    for seed in range(20):
        assert random_circles(picture, boxes, np.random.default_rng(seed)).shape == picture.shape
