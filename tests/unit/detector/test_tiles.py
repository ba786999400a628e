import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystal_eyes.detector.tiles import MAX_ENLARGEMENT, MAX_TILES, OVERLAP, PER_SIDE, SIDE, tiles

side = st.one_of(st.integers(1, 100), st.integers(100, 20_000))


@settings(deadline=None)
@given(side, side)
def test_few_tiles_of_one_size_cover_the_picture_and_overlap(width, height):
    parts, size = tiles(width, height)
    assert 1 <= len(parts) == len(set(parts)) <= MAX_TILES and size <= SIDE
    assert len({(right - left, bottom - top) for left, top, right, bottom in parts}) == 1
    left, top, right, bottom = parts[0]
    scale = size / max(right - left, bottom - top)
    assert size <= MAX_ENLARGEMENT * max(right - left, bottom - top) + 1
    for first, last, length in ((0, 2, width), (1, 3, height)):
        spans = sorted({(part[first], part[last]) for part in parts})
        assert len(spans) <= PER_SIDE and spans[0][0] == 0 and spans[-1][1] == length
        for (start, end), (after, _) in zip(spans, spans[1:]):
            assert start < after and scale * (end - after + 1) >= OVERLAP * 0.98


@pytest.mark.parametrize(
    ("size", "count", "pixels"),
    [((300, 200), 1, 375), ((384, 384), 1, 480), ((640, 480), 2, 600), ((2000, 1500), 9, 768), ((1920, 1080), 6, 768),
     ((60, 8000), 3, 768)],
)  # fmt: skip
def test_a_larger_picture_has_more_tiles(size, count, pixels):
    parts, side = tiles(*size)
    assert len(parts) == count and abs(side - pixels) <= 10


@pytest.mark.parametrize("size", [(2000, 1500), (1000, 4000), (700, 700)])
def test_a_head_up_to_the_overlap_is_whole_in_some_tile(size):
    parts, side = tiles(*size)
    left, top, right, bottom = parts[0]
    head = int(0.97 * OVERLAP * max(right - left, bottom - top) / side)
    for x in range(0, size[0] - head, 31):
        for y in range(0, size[1] - head, 31):
            assert any(a <= x and b <= y and x + head <= c and y + head <= d for a, b, c, d in parts)
