import numpy as np
import pytest

from crystal_eyes.boxes import as_boxes
from crystal_eyes.detector.runtime import HeadDetector
from crystal_eyes.detector.training.cutouts import cast_cutouts
from crystal_eyes.detector.training.input_size import MAX_LOSS, SizeResult, compare_sizes, run_detector, smallest_sufficient
from crystal_eyes.detector.training.scenes import compose_scenes
from crystal_eyes.evaluation.detection import average_precision
from tests.runs import HEAD_DETECTOR


@pytest.fixture(scope="module")
def pictures() -> list[tuple[np.ndarray, np.ndarray]]:
    return [(picture, boxes) for _, picture, boxes in compose_scenes(3, "scene", [5, 5], cast_cutouts(2, characters=6))]


def test_detections_belong_to_their_pictures(pictures):
    detector = HeadDetector(HEAD_DETECTOR, 256)
    detections, milliseconds = run_detector(detector, pictures)
    assert len(detections) == len(pictures) and milliseconds.shape == (3,) and (milliseconds > 0).all()
    for (picture, truth), found in zip(pictures, detections):
        boxes, scores = detector.detect(picture, 0.01)
        np.testing.assert_array_equal(found.truth, truth)
        np.testing.assert_array_equal(found.boxes, boxes)
        np.testing.assert_array_equal(found.scores, scores)


def test_each_size_is_measured_on_all_pictures(pictures):
    results = compare_sizes(HEAD_DETECTOR, lambda: iter(pictures), sizes=(128, 256))
    assert [result.image_size for result in results] == [128, 256]
    for result in results:
        detections, _ = run_detector(HeadDetector(HEAD_DETECTOR, result.image_size), pictures)
        assert (result.ap50, result.ap75) == (average_precision(detections, 0.5), average_precision(detections, 0.75))
        assert result.milliseconds > 0


def test_without_pictures_nothing_is_measured():
    detections, milliseconds = run_detector(HeadDetector(HEAD_DETECTOR), [])
    assert detections == [] and milliseconds.shape == (0,)
    assert compare_sizes(HEAD_DETECTOR, lambda: [], sizes=(64,)) == [SizeResult(64, 0.0, 0.0, 0.0)]
    picture = np.zeros((32, 32, 3), np.uint8)
    assert run_detector(HeadDetector(HEAD_DETECTOR), [(picture, as_boxes([]))])[0][0].truth.shape == (0, 4)


@pytest.mark.parametrize(
    ("ap50", "expected"),
    [((0.5, 0.7, 0.9), 512), ((0.9, 0.9, 0.9), 256), ((0.8, 0.9, 0.5), 320), ((0.9 - MAX_LOSS / 2, 0.9, 0.9), 256)],
)
def test_the_smallest_size_that_loses_little_is_chosen(ap50, expected):
    results = [SizeResult(size, value, 0.0, 1.0) for size, value in zip((256, 320, 512), ap50)]
    assert smallest_sufficient(results) == smallest_sufficient(results[::-1]) == expected
