import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystal_eyes.boxes import area, as_boxes, intersection, iou
from crystal_eyes.detector.defaults import HIGH
from crystal_eyes.detector.runtime import BATCH, GRAY, STRIDE, HeadDetector, letterbox
from crystal_eyes.detector.strips import MAX_WINDOWS, MIN_SIDE, windows
from crystal_eyes.detector.tiles import MAX_TILES, SIDE
from crystal_eyes.detector.training.canvas import Scene
from crystal_eyes.detector.training.cutouts import cast_cutouts
from tests.runs import HEAD_DETECTOR

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


class CountingDetector(HeadDetector):
    """Records the shape of the input of each run of its network: windows, height, width."""

    def __init__(self):
        super().__init__(HEAD_DETECTOR, threads=1)
        self.inputs: list[tuple[int, int, int]] = []
        self.network, self.session = self.session, self

    def run(self, names, inputs):
        self.inputs.append(inputs["pictures"].shape[:3])
        return self.network.run(names, inputs)


@pytest.fixture(scope="module")
def detector() -> HeadDetector:
    return HeadDetector(HEAD_DETECTOR, threads=1)


EXTREME = [(1, 100_000), (100_000, 1), (15, 4000), (31, 900), (40, 2000), (16, 62_500), (130, 7600), (100, 301), (900, 300)]


@pytest.mark.parametrize("size", EXTREME, ids=str)
def test_what_a_picture_costs_is_bounded_by_its_area_and_by_a_number_of_windows(size):
    """Runs of the network and their pixels, by which the time goes."""
    width, height = size
    counting = CountingDetector()
    assert len(counting.detect(np.full((height, width, 3), 255, np.uint8))[0]) == 0
    searched = sum(n * rows * columns for n, rows, columns in counting.inputs)
    assert sum(n for n, _, _ in counting.inputs) == len(windows(*size)) <= MAX_WINDOWS
    assert len(counting.inputs) == -(-len(windows(*size)) // BATCH)
    assert searched <= MAX_WINDOWS * 448 * 256
    if min(size) < MIN_SIDE:
        assert searched == 0
    else:  # enlarged twice in each direction, seen twice, and padded
        assert searched <= 2 * 2 * 2 * 2.5 * width * height or searched <= 384 * 384


def strip(width: int, height: int, places: list[tuple[float, float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Heads of the cast on a plain strip, and their boxes. places: along the strip and across it in its shorter sides, and how
    large a head is.
    """
    draw, rng = cast_cutouts(2, characters=8), np.random.default_rng(1)
    scene, short = Scene(np.full((height, width, 3), (235, 240, 250), np.uint8)), min(width, height)
    for along, across, size in places:
        center = (along * short, across * short) if width > height else (across * short, along * short)
        scene.paste(draw(rng), center, size * short, 0, False)
    return scene.picture, scene.visible_boxes()


@pytest.mark.parametrize("size", [(9000, 500), (500, 9000), (3000, 700), (800, 20_000), (20_000, 800), (2500, 400), (40, 2000)],
                         ids=str)  # fmt: skip
def test_each_head_of_a_strip_is_found_once(detector, size):
    """Small ones and ones as large as the strip, wherever the windows end."""
    length = max(size) / min(size)
    places = [(length * share, 0.5 + offset, head) for share, offset, head in
              [(0.15, 0.1, 0.4), (0.34, -0.1, 0.6), (0.5, 0, 0.8), (0.71, 0.05, 0.5), (0.9, 0, 0.6)]]  # fmt: skip
    picture, heads = strip(*size, places)
    boxes, scores = detector.detect(picture)
    shared = intersection(boxes, heads) > 0.3 * np.minimum(area(boxes)[:, None], area(heads)[None, :])
    assert shared.sum(axis=0).tolist() == shared.sum(axis=1).tolist() == [1] * len(places)
    assert (iou(boxes, heads).max(axis=0) > (0.5 if min(size) > 100 else 0.4)).all() and (np.diff(scores) <= 0).all()


def test_a_head_is_found_once_wherever_it_is_on_the_strip(detector):
    for along in np.linspace(1, 4, 20):
        picture, heads = strip(1800, 300, [(along, 0.5, 0.6)])
        boxes, _ = detector.detect(picture)
        assert len(boxes) == 1 and iou(boxes, heads)[0, 0] > 0.6


def test_windows_searched_together_give_what_they_give_alone(detector):
    picture, _ = strip(1500, 400, [(1, 0.5, 0.6), (2.5, 0.5, 0.7)])
    parts = [picture[:, x : x + 720] for x in (0, 360, 780)]
    together = detector._detect_in_parts(parts, 384, 0.4, 0.5)
    for part, (boxes, scores) in zip(parts, together, strict=True):
        ((alone, alone_scores),) = detector._detect_in_parts([part], 384, 0.4, 0.5)
        np.testing.assert_allclose(boxes, alone, atol=0.1)
        np.testing.assert_allclose(scores, alone_scores, atol=1e-3)
    assert sum(len(boxes) for boxes, _ in together) >= 2


def crowd(width: int, height: int, side: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Heads of the cast of that size, that far apart, everywhere in a picture, and their boxes."""
    draw, rng = cast_cutouts(2, characters=8), np.random.default_rng(1)
    scene = Scene(np.full((height, width, 3), (235, 240, 250), np.uint8))
    for x in range(step // 2, width, step):
        for y in range(step // 2, height, step):
            scene.paste(draw(rng), (x, y), side, 0, False)
    return scene.picture, scene.visible_boxes()


def test_high_detail_finds_small_heads_once_each_wherever_tiles_end(detector):
    picture, heads = crowd(1900, 1300, 36, 118)
    coarse, (boxes, scores) = detector.detect(picture)[0], detector.detect(picture, detail=HIGH)
    found = iou(boxes, heads) > 0.4
    assert (iou(coarse, heads) > 0.4).any(axis=0).mean() < 0.5 < 0.95 < found.any(axis=0).mean()
    shared = intersection(boxes, heads) > 0.3 * np.minimum(area(boxes)[:, None], area(heads)[None, :])
    assert (shared.sum(axis=0) <= 1).all() and (shared.sum(axis=1) == 1).all() and (np.diff(scores) <= 0).all()


def test_high_detail_finds_a_large_head_once_too(detector):
    for side in (300, 450, 600, 750):
        picture, heads = crowd(1500, 1000, side, 1000)
        boxes, _ = detector.detect(picture[:, :1000], detail=HIGH)
        assert len(boxes) == 1 and iou(boxes, heads)[0].max() > 0.6


@pytest.mark.parametrize(
    "size", [(64_000, 1000), (8000, 8000), (20_000, 7000), (640, 480), (40, 30), (1, 1), (16, 4000)], ids=str
)
def test_what_high_detail_costs_is_bounded(size):
    width, height = size
    counting = CountingDetector()
    counting.detect(np.full((height, width, 3), 255, np.uint8), detail=HIGH)
    parts = windows(width, height)
    assert sum(n for n, _, _ in counting.inputs) <= (1 + MAX_TILES if len(parts) == 1 else MAX_WINDOWS)
    assert max(max(rows, columns) for _, rows, columns in counting.inputs) <= SIDE
    assert max(n * rows * columns for n, rows, columns in counting.inputs) <= BATCH * 448**2  # memory


def test_an_ordinary_picture_is_searched_once_as_a_whole():
    counting = CountingDetector()
    for size in [(640, 480), (100, 300), (300, 100), (1, 1), (1, 3), (16, 16)]:
        counting.detect(np.zeros((*size, 3), np.uint8))
    assert [n for n, _, _ in counting.inputs] == [1] * 6
    assert as_boxes([]).shape == counting.detect(np.zeros((5, 90, 3), np.uint8))[0].shape
