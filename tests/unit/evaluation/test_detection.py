import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from crystal_eyes.boxes import as_boxes
from crystal_eyes.evaluation.detection import (
    PictureDetections,
    average_precision,
    detection_metrics,
    precision_recall_curve,
    true_positives,
)

# whole pixels in a small field, so that boxes of all overlaps occur
box = st.builds(lambda x, y, w, h: (x, y, x + w, y + h), *[st.integers(0, 5)] * 2, *[st.integers(2, 6)] * 2)


@st.composite
def some_pictures(draw) -> list[PictureDetections]:
    """Pictures with true and found boxes; no two confidences are the same."""
    truths = draw(st.lists(st.lists(box, max_size=4), min_size=1, max_size=3))
    found = [draw(st.lists(st.sampled_from(truth) | box if truth else box, max_size=5)) for truth in truths]
    ranks = iter(draw(st.permutations(range(sum(map(len, found))))))
    return [picture(truth, boxes, [(next(ranks) + 1) / 32 for _ in boxes]) for truth, boxes in zip(truths, found)]


def picture(truth, boxes, scores) -> PictureDetections:
    return PictureDetections(as_boxes(truth), as_boxes(boxes), np.array(scores, np.float32))


def share(a, b) -> float:
    across, down = (max(0, min(a[i + 2], b[i + 2]) - max(a[i], b[i])) for i in (0, 1))
    both = across * down
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def ranked(pictures: list[PictureDetections], least: float) -> list[tuple[float, bool]]:
    """(confidence, whether it hits) of all found boxes, best first, by plain loops."""
    out = []
    for one in pictures:
        free = list(range(len(one.truth)))
        for row in sorted(range(len(one.boxes)), key=lambda row: -one.scores[row]):
            nearest = max(free, key=lambda t: share(one.boxes[row], one.truth[t]), default=None)
            hit = nearest is not None and share(one.boxes[row], one.truth[nearest]) >= least
            if hit:
                free.remove(nearest)
            out.append((float(one.scores[row]), hit))
    return sorted(out, reverse=True)


def rates(rows: list[tuple[float, bool]], truths: int) -> tuple[float, float]:
    right = sum(hit for _, hit in rows)
    return right / len(rows), right / max(truths, 1)


def area_under(rows: list[tuple[float, bool]], truths: int) -> float:
    """The mean, over the number of found true boxes, of the best precision at which at least that many are found."""
    points = [rates(rows[: n + 1], truths) for n in range(len(rows))]
    total = 0.0
    for n in range(1, truths + 1):
        total += max((precision for precision, recall in points if recall >= n / truths - 1e-9), default=0.0) / truths
    return total


@settings(max_examples=150, deadline=None)
@given(some_pictures(), st.sampled_from((0.45123, 0.51234, 0.78123)))
def test_average_precision_is_what_plain_loops_find(pictures, least):
    truths = sum(len(one.truth) for one in pictures)
    assert average_precision(pictures, least) == pytest.approx(area_under(ranked(pictures, least), truths), abs=1e-6)


def coco_precision(pictures: list[PictureDetections], heads: int) -> np.ndarray:
    """pycocotools' precision: float [10, heads], at IoU 0.5, 0.55 ... 0.95 and where 1, 2 ... all heads are found."""

    def rows(boxes, image: int, **more) -> dict:
        left, top, right, bottom = (float(v) for v in boxes)
        width, height = right - left, bottom - top
        return {"image_id": image, "category_id": 1, "bbox": [left, top, width, height], "area": width * height, **more}

    truths = [rows(box, image, iscrowd=0) for image, one in enumerate(pictures) for box in one.truth]
    found = [
        rows(box, image, score=float(score)) for image, one in enumerate(pictures) for box, score in zip(one.boxes, one.scores)
    ]
    dataset = COCO()
    images = [{"id": image} for image in range(len(pictures))]
    annotations = [{**row, "id": number} for number, row in enumerate(truths, 1)]
    dataset.dataset = {"images": images, "categories": [{"id": 1}], "annotations": annotations, "info": {}}
    with contextlib.redirect_stdout(io.StringIO()):
        dataset.createIndex()
        evaluation = COCOeval(dataset, dataset.loadRes(found), "bbox")
        evaluation.params.recThrs = np.arange(1, heads + 1) / heads - 1e-9  # else rounding decides whether it is reached
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][:, :, 0, 0, 2]  # the one category, objects of all sizes, up to 100 detections


@pytest.mark.parametrize("seed", range(3))
def test_average_precision_is_that_of_pycocotools(seed):
    rng = np.random.default_rng(seed)
    pictures = []
    for _ in range(20):  # heads lie far apart: the two match detections differently where one overlaps several
        truth = [(60 * n, 0, 60 * n + side, side) for n, side in enumerate(rng.integers(20, 50, 5))]
        shifted = [np.array(box) + np.tile(rng.integers(-6, 7, 2), 2) for box in truth if rng.random() < 0.8]
        alarms = [(60 * n, 100, 60 * n + 30, 130) for n in range(rng.integers(0, 3))]
        boxes = [*shifted, *alarms]
        pictures.append(picture(truth, boxes, rng.permutation(1000)[: len(boxes)] / 1000 + len(pictures) / 1e5))
    precision = coco_precision(pictures, heads=100)
    own = [average_precision(pictures, 0.5 + 0.05 * step) for step in range(10)]
    np.testing.assert_allclose(own, precision.mean(axis=1), atol=1e-6)
    metrics = detection_metrics(pictures, 0.5)
    assert (metrics["ap50"], metrics["ap75"], metrics["map50_95"]) == pytest.approx((own[0], own[5], np.mean(own)))
    assert 0.2 < metrics["map50_95"] < metrics["ap50"] < 1


@settings(deadline=None)
@given(some_pictures(), st.sampled_from((0.0, 0.1, 0.2, 0.9)))
def test_precision_and_recall_are_what_plain_loops_find(pictures, confidence):
    truths, sure = sum(len(one.truth) for one in pictures), [r for r in ranked(pictures, 0.5) if r[0] >= confidence]
    precision, recall = rates(sure, truths) if sure else (1.0, 0.0)
    found = detection_metrics(pictures, confidence)
    assert (found["precision"], found["recall"]) == (pytest.approx(precision), pytest.approx(recall))


@settings(deadline=None)
@given(some_pictures())
def test_the_order_of_the_pictures_and_of_the_found_boxes_does_not_matter(pictures):
    reordered = [PictureDetections(one.truth, one.boxes[::-1], one.scores[::-1]) for one in pictures[::-1]]
    for one, other in zip(precision_recall_curve(pictures), precision_recall_curve(reordered)):
        np.testing.assert_allclose(one, other)


def test_a_second_box_on_a_head_is_a_false_alarm():
    head = (0, 0, 10, 10)
    one = picture([head], [head, (0, 0, 10, 9)], [0.5, 0.9])
    assert true_positives(one, 0.5).tolist() == [False, True]  # the surer one takes the head
    assert detection_metrics([one], 0.4)["precision"] == 0.5 and detection_metrics([one], 0.6)["precision"] == 1.0
    assert detection_metrics([one], 0.4)["recall"] == 1.0


def test_the_surest_box_takes_the_nearest_of_two_heads():
    one = picture([(0, 0, 10, 10), (4, 0, 14, 10)], [(3, 0, 13, 10), (1, 0, 11, 10)], [0.9, 0.8])
    assert true_positives(one, 0.5).tolist() == [True, True]


def test_steps_of_overlap_are_measured_apart():
    one = picture([(0, 0, 10, 10)], [(0, 0, 10, 8)], [0.9])  # IoU 0.8
    found = detection_metrics([one], 0.5)
    assert found["ap50"] == found["ap75"] == 1.0 and 0.6 <= found["map50_95"] <= 0.7
    assert average_precision([one], 0.81) == 0


def test_without_heads_every_box_is_wrong():
    found = detection_metrics([picture([], [(0, 0, 5, 5)], [0.9])], 0.5)
    assert found == {"ap50": 0, "ap75": 0, "map50_95": 0, "precision": 0, "recall": 0}


@pytest.mark.parametrize("pictures", [[], [picture([], [], [])], [picture([(0, 0, 5, 5)], [], [])]])
def test_without_boxes_nothing_is_wrong_and_nothing_found(pictures):
    assert detection_metrics(pictures, 0.5) == {"ap50": 0, "ap75": 0, "map50_95": 0, "precision": 1, "recall": 0}


def test_boxes_of_exactly_the_confidence_count():
    one = picture([(0, 0, 5, 5)], [(0, 0, 5, 5), (20, 20, 25, 25)], [0.75, 0.5])
    assert [detection_metrics([one], confidence)["precision"] for confidence in (0.5, 0.51, 0.75)] == [0.5, 1.0, 1.0]
