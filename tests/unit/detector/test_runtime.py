import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystal_eyes.detector.runtime import GRAY, MAX_ASPECT_RATIO, STRIDE, letterbox, windows

side = st.one_of(st.integers(1, 100), st.integers(100, 20_000))


@settings(deadline=None)
@given(side, side)
def test_windows_cover_the_picture_and_overlap_by_half(width, height):
    parts = windows(width, height)
    if max(width, height) <= MAX_ASPECT_RATIO * min(width, height):
        assert parts == [(0, 0, width, height)]
        return
    if height > width:
        assert all((left, right) == (0, width) for left, _, right, _ in parts)
    else:
        assert all((top, bottom) == (0, height) for _, top, _, bottom in parts)
    spans = [(top, bottom) if height > width else (left, right) for left, top, right, bottom in parts]
    assert spans[0][0] <= 0 and spans[-1][1] == max(width, height)
    for (start, end), (after, _) in zip(spans, spans[1:]):
        assert start < after and end - after >= (end - start) // 2  # nothing is skipped; half is seen twice
    assert len({end - start for start, end in spans}) == 1


@pytest.mark.parametrize("upright", [True, False])
def test_a_head_on_a_long_strip_is_large_and_whole_in_some_window(upright):
    parts = windows(600, 20_000) if upright else windows(20_000, 600)
    assert len(parts) < 100 and all((r - x, b - y) == (600, 600) for x, y, r, b in parts)
    for start in range(0, 19_701, 37):  # a head of half the strip's width, anywhere
        assert any(p[upright] <= start and start + 300 <= p[2 + upright] for p in parts)


@pytest.mark.parametrize("size", [(640, 480), (100, 300), (300, 100), (1, 1), (1, 3), (16, 16)])
def test_other_pictures_are_searched_as_a_whole(size):
    assert windows(*size) == [(0, 0, *size)]


SIZES = [(640, 480), (480, 640), (100, 37), (37, 100), (16, 16), (1, 200), (200, 1), (1, 1), (1500, 900), (333, 334)]


@pytest.mark.parametrize("network", [256, 320, 640])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_letterboxed_picture_is_scaled_and_padded_with_gray(size, network):
    width, height = size
    padded, (across, down), (left, top) = letterbox(np.full((height, width, 3), 200, np.uint8), network)
    rows, columns = padded.shape[:2]
    assert rows % STRIDE == columns % STRIDE == 0 and max(rows, columns) == network
    w, h = round(width * across), round(height * down)
    assert max(w, h) == network and abs(w / h - width / height) <= width / height / min(w, h)
    inner = np.zeros((rows, columns), bool)
    inner[top : top + h, left : left + w] = True
    assert inner.sum() == w * h and (padded[inner] == 200).all() and (padded[~inner] == GRAY).all()
    assert 0 <= rows - h - 2 * top <= 1 and 0 <= columns - w - 2 * left <= 1  # as much before as after


@settings(deadline=None)
@given(st.integers(40, 400), st.integers(40, 400), st.floats(0.1, 0.9), st.floats(0.1, 0.9))
def test_scale_and_padding_lead_back_to_the_place_in_the_picture(width, height, right, down):
    x, y = int(right * (width - 9)), int(down * (height - 9))
    picture = np.zeros((height, width, 3), np.uint8)
    picture[y : y + 9, x : x + 9] = 255
    padded, scales, (left, top) = letterbox(picture, 256)
    rows, columns = np.nonzero(padded[..., 0] > 184)  # neither background nor padding
    found = np.array([columns.min() - left, rows.min() - top, columns.max() + 1 - left, rows.max() + 1 - top]) / (scales * 2)
    np.testing.assert_allclose(found, [x, y, x + 9, y + 9], atol=1 + 1 / min(scales))


def test_a_picture_of_the_right_size_goes_through_as_it_is():
    picture = np.random.default_rng(0).integers(0, 256, (320, 256, 3), dtype=np.uint8)
    padded, scales, pads = letterbox(picture, 320)
    assert scales == (1, 1) and pads == (0, 0)
    np.testing.assert_array_equal(padded, picture)


@pytest.mark.parametrize("size", [(8, 30), (30, 8), (1, 10), (1, 31)])
def test_windows_of_tiny_strips_lie_inside(size):
    assert windows(*size) == [(0, 0, *size)]
