import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystal_eyes.boxes import as_boxes, iou
from crystal_eyes.detector.strips import MAX_ASPECT_RATIO, MAX_WINDOWS, MIN_SIDE, OVERLAP, is_cut, merge, windows

side = st.one_of(st.integers(1, 100), st.integers(100, 20_000))


@settings(deadline=None)
@given(side, side)
def test_few_windows_cover_the_picture_and_overlap(width, height):
    parts, short = windows(width, height), min(width, height)
    if max(width, height) <= MAX_ASPECT_RATIO * short:
        assert parts == [(0, 0, width, height)]
        return
    if short < MIN_SIDE:
        assert parts == []
        return
    assert 2 <= len(parts) <= MAX_WINDOWS and len(parts) <= 1.2 * max(width, height) / short
    if height > width:
        assert all((left, right) == (0, width) for left, _, right, _ in parts)
    else:
        assert all((top, bottom) == (0, height) for _, top, _, bottom in parts)
    spans = [(top, bottom) if height > width else (left, right) for left, top, right, bottom in parts]
    assert spans[0][0] == 0 and spans[-1][1] == max(width, height)
    for (start, end), (after, _) in zip(spans, spans[1:]):
        assert start < after <= end - round(OVERLAP * short) + 1
    assert len({end - start for start, end in spans}) == 1


@pytest.mark.parametrize("upright", [True, False])
def test_a_head_on_a_strip_is_whole_in_some_window(upright):
    parts = windows(600, 20_000) if upright else windows(20_000, 600)
    assert max(right - left for left, _, right, _ in parts) <= (600 if upright else 1.8 * 600)
    for start in range(0, 19_461, 37):  # a head nearly as large as the strip is wide, anywhere
        assert any(p[upright] <= start and start + 539 <= p[2 + upright] for p in parts)


@pytest.mark.parametrize("size", [(640, 480), (100, 300), (300, 100), (1, 1), (1, 3), (16, 16)])
def test_other_pictures_are_searched_as_a_whole(size):
    assert windows(*size) == [(0, 0, *size)]


@pytest.mark.parametrize("size", [(8, 30), (30, 8), (1, 10), (1, 100_000), (100_000, 15)])
def test_a_strip_too_narrow_for_a_head_is_not_searched(size):
    assert windows(*size) == []


def test_a_box_is_cut_where_the_picture_goes_on_behind_its_border():
    boxes = as_boxes([[0, 0, 50, 50], [100, 20, 180, 99], [120, 0, 200, 100], [120, 20, 180, 100], [300, 0, 400, 100]])
    found_in = as_boxes([[0, 0, 200, 100], [100, 0, 300, 100], [20, 0, 200, 100], [0, 0, 200, 100], [200, 0, 400, 100]])
    assert is_cut(boxes, found_in, 400, 100).tolist() == [False, True, True, False, False]
    assert is_cut(boxes[:, [1, 0, 3, 2]], found_in[:, [1, 0, 3, 2]], 100, 400).tolist() == [False, True, True, False, False]


def test_a_whole_head_is_kept_rather_than_its_cut_half_and_a_cut_one_rather_than_none():
    boxes = as_boxes([[150, 10, 200, 90], [150, 10, 240, 90], [400, 0, 480, 90], [405, 2, 482, 92]])
    scores, cut = np.array([0.9, 0.5, 0.6, 0.7], np.float32), np.array([True, False, True, True])
    assert merge(boxes, scores, cut, 0.5).tolist() == [3, 1]


boxes = st.lists(st.tuples(*[st.integers(0, 60)] * 2, *[st.integers(1, 30)] * 2, st.integers(1, 9), st.booleans()), max_size=25)


@settings(deadline=None)
@given(boxes)
def test_boxes_that_are_kept_differ_and_those_that_are_not_have_a_better_one(rows):
    corners = as_boxes([(x, y, x + w, y + h) for x, y, w, h, _, _ in rows])
    scores, cut = np.array([row[4] / 10 for row in rows], np.float32), np.array([row[5] for row in rows], bool)
    keep = merge(corners, scores, cut, 0.5)
    assert (np.diff(scores[keep]) <= 0).all() and len(set(keep.tolist())) == len(keep)
    pairs = iou(corners[keep], corners[keep])
    assert (pairs[~np.eye(len(keep), dtype=bool)] <= 0.5).all()
    for row in set(range(len(rows))) - set(keep.tolist()):
        better = [k for k in keep if (cut[k], -scores[k]) <= (cut[row], -scores[row])]
        assert iou(corners[[row]], corners[better]).max() > 0


def test_without_boxes_none_is_kept():
    assert merge(as_boxes([]), np.zeros(0, np.float32), np.zeros(0, bool), 0.5).tolist() == []
