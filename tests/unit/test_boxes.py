import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystal_eyes.boxes import FACE_MARGINS, area, as_boxes, clip, face_to_head, intersection, iou, nms

edge = st.integers(-8, 24)
boxes = st.lists(st.tuples(edge, edge, edge, edge), max_size=8).map(as_boxes)  # some end before they start
upright = st.lists(st.tuples(edge, edge, st.integers(1, 20), st.integers(1, 20)), max_size=8).map(
    lambda rows: as_boxes([(x, y, x + w, y + h) for x, y, w, h in rows])
)
THRESHOLDS = (0.0, 0.3171, 0.6013, 1.0)  # no ratio of small whole numbers but 0 and 1


def pixels(box) -> set[tuple[int, int]]:
    left, top, right, bottom = (int(v) for v in box)
    return {(x, y) for x in range(left, right) for y in range(top, bottom)}


def share(a: set, b: set) -> float:
    return len(a & b) / len(a | b) if a | b else 0.0


@settings(deadline=None)
@given(boxes, boxes)
def test_areas_intersections_and_iou_count_pixels(a, b):
    assert area(a).tolist() == [len(pixels(box)) for box in a]
    expected = [[len(pixels(one) & pixels(other)) for other in b] for one in a]
    np.testing.assert_array_equal(intersection(a, b), np.reshape(expected, (len(a), len(b))))
    expected = [[share(pixels(one), pixels(other)) for other in b] for one in a]
    np.testing.assert_allclose(iou(a, b), np.reshape(expected, (len(a), len(b))), rtol=1e-5)


@settings(deadline=None)
@given(upright, upright)
def test_iou_is_symmetric_and_1_of_a_box_with_itself(a, b):
    np.testing.assert_array_equal(iou(a, b), iou(b, a).T)
    assert (np.diagonal(iou(a, a)) == 1).all()


@settings(deadline=None)
@given(boxes, st.integers(1, 20), st.integers(1, 20))
def test_a_clipped_box_keeps_its_pixels_in_the_picture(some, width, height):
    inside = clip(some, width, height)
    for box, cut in zip(some, inside):
        assert pixels(cut) == pixels(box) & pixels((0, 0, width, height))
    assert (inside >= 0).all() and (inside <= [width, height, width, height]).all()


@settings(deadline=None)
@given(upright, st.data(), st.sampled_from(THRESHOLDS))
def test_nms_keeps_what_a_naive_loop_keeps(some, data, threshold):
    scores = np.array(data.draw(st.lists(st.sampled_from((0.2, 0.5, 0.9)), min_size=len(some), max_size=len(some))), np.float32)
    expected = []
    for row in sorted(range(len(some)), key=lambda row: (-scores[row], row)):
        if all(share(pixels(some[row]), pixels(some[kept])) <= threshold for kept in expected):
            expected.append(row)
    assert nms(some, scores, threshold).tolist() == expected


@settings(deadline=None)
@given(upright, st.permutations(range(8)), st.sampled_from(THRESHOLDS))
def test_nms_removes_overlaps_whatever_the_order(some, order, threshold):
    scores = np.linspace(0.9, 0.1, len(some), dtype=np.float32)
    kept = some[nms(some, scores, threshold)]
    assert (np.triu(iou(kept, kept), 1) <= threshold).all()
    order = [row for row in order if row < len(some)]
    np.testing.assert_array_equal(some[order][nms(some[order], scores[order], threshold)], kept)


def test_no_boxes_at_all_are_still_boxes():
    none = as_boxes([])
    assert none.shape == (0, 4) and iou(none, as_boxes([[0, 0, 1, 1]])).shape == (0, 1)
    assert nms(none, np.zeros(0, np.float32), 0.5).shape == (0,) and clip(none, 5, 5).shape == (0, 4)
    assert face_to_head(none, FACE_MARGINS, 5, 5).shape == (0, 4)


@settings(deadline=None)
@given(upright, st.tuples(*[st.sampled_from((-0.25, 0.0, 0.5, 1.0))] * 4))
def test_a_head_grows_from_its_face_by_fractions_of_the_face(faces, margins):
    expected = []
    for left, top, right, bottom in faces:
        width, height = right - left, bottom - top
        grown = (left - margins[0] * width, top - margins[1] * height, right + margins[2] * width, bottom + margins[3] * height)
        expected.append([min(max(v, 0), limit) for v, limit in zip(grown, (30, 20, 30, 20))])
    np.testing.assert_allclose(face_to_head(faces, margins, 30, 20), as_boxes(expected), atol=1e-4)


def test_the_default_margins_add_hair_above_the_face():
    assert face_to_head(as_boxes([[100, 100, 200, 180]]), FACE_MARGINS, 400, 400)[0] == pytest.approx([75, 56, 225, 188])
