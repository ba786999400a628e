import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystal_eyes.data.cropping import crop_head

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def naive(picture, left, top, side):
    out = np.zeros((side, side, 3), np.uint8)
    for y in range(side):
        for x in range(side):
            out[y, x] = picture[min(max(top + y, 0), len(picture) - 1), min(max(left + x, 0), picture.shape[1] - 1)]
    return out


@settings(deadline=None)
@given(st.floats(0, 59), st.floats(0, 39), st.floats(1, 60), st.floats(1, 60))
def test_a_head_is_cut_as_a_square_about_its_middle_and_edges_are_repeated(left, top, width, height):
    right, bottom = min(left + width, 60), min(top + height, 40)
    cut = crop_head(PICTURE, np.array([left, top, right, bottom]))
    side = len(cut)
    assert cut.shape == (side, side, 3) and cut.dtype == np.uint8
    assert abs(side - 1.2 * max(right - left, bottom - top)) <= 0.5 + 1e-6
    x, y = (left + right - side) / 2, (top + bottom - side) / 2
    corners = [(a, b) for a in {int(np.floor(x)), int(np.ceil(x))} for b in {int(np.floor(y)), int(np.ceil(y))}]
    nearest = [(a, b) for a, b in corners if abs(a - x) <= 0.5 + 1e-6 and abs(b - y) <= 0.5 + 1e-6]
    assert any((cut == naive(PICTURE, a, b, side)).all() for a, b in nearest)


def test_a_head_in_the_middle_is_cut_with_a_tenth_of_margin_on_each_side():
    np.testing.assert_array_equal(crop_head(PICTURE, np.array([20, 10, 40, 30])), PICTURE[8:32, 18:42])
    np.testing.assert_array_equal(crop_head(PICTURE, np.array([20, 15, 40, 25])), PICTURE[8:32, 18:42])


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1)])
def test_a_box_that_is_the_whole_picture_repeats_its_edges(size):
    picture = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    cut, side = crop_head(picture, np.array([0, 0, size[1], size[0]])), round(1.2 * max(size))
    np.testing.assert_array_equal(cut, naive(picture, round((size[1] - side) / 2), round((size[0] - side) / 2), side))


def test_the_crop_is_a_copy_or_leaves_the_picture_alone():
    picture = PICTURE.copy()
    crop_head(picture, np.array([20, 10, 40, 30]))[...] = 0
    np.testing.assert_array_equal(picture, PICTURE)


def test_boxes_of_less_than_a_pixel_are_one_pixel():
    for x in (0.1, 30.4, 59.2):
        assert (crop_head(PICTURE, np.array([x, 39.2, x + 0.5, 39.7])) == PICTURE[39, int(x)]).all()
