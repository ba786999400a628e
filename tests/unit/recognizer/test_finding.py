import numpy as np
import pytest
from PIL import Image

from crystal_eyes.boxes import as_boxes, clip, iou
from crystal_eyes.data.cropping import crop_head
from crystal_eyes.detector.runtime import HeadDetector
from crystal_eyes.detector.training.backgrounds import interface, pattern
from crystal_eyes.detector.training.cutouts import cast_cutouts
from crystal_eyes.recognizer.finding import CROP_SIDE, FRAME, MAX_HEADS, Search, find_heads
from tests.runs import HEAD_DETECTOR, draw_head


@pytest.fixture(scope="module")
def detector() -> HeadDetector:
    return HeadDetector(HEAD_DETECTOR, threads=1)


def page(heads: int = 6, side: int = 120) -> np.ndarray:
    """Drawn heads, far apart on a ground of 600 x 400 pixels."""
    take, rng = cast_cutouts(2, characters=8), np.random.default_rng(0)
    ground = Image.new("RGB", (600, 400), (235, 240, 250))
    for number in range(heads):
        head = Image.fromarray(take(rng).picture)
        head.thumbnail((side, side))
        ground.paste(head, (30 + 190 * (number % 3), 30 + 180 * (number // 3)), head)
    return np.asarray(ground)


@pytest.mark.parametrize("character", [0, 1, 2])
@pytest.mark.parametrize("side", [48, 160])
def test_a_head_crop_is_taken_whole(detector, character, side):
    picture = np.asarray(draw_head(character, 0).resize((side, side)))
    (head,) = find_heads(detector, picture)
    assert head.whole_picture and head.box == (0, 0, side, side) and 0.4 < head.confidence <= 1
    np.testing.assert_array_equal(head.picture, picture)


class OnlyInFrames(HeadDetector):
    """Misses all heads in pictures of up to 130 pixels: they are found only in a frame, which makes the picture larger."""

    def detect(self, picture, *thresholds, **detail):
        boxes, scores = super().detect(picture, *thresholds, **detail)
        return (boxes, scores) if max(picture.shape) > 130 else (boxes[:0], scores[:0])


def test_a_tight_crop_without_a_detection_is_searched_again_in_a_frame():
    picture, detector = np.asarray(draw_head(1, 0).resize((96, 96))), OnlyInFrames(HEAD_DETECTOR, threads=1)
    assert len(detector.detect(picture)[0]) == 0
    assert [head.whole_picture for head in find_heads(detector, picture)] == [True]


def test_a_small_head_found_only_in_the_frame_has_its_position_in_the_picture():
    """The frame's width is subtracted again."""
    found, detector = [], OnlyInFrames(HEAD_DETECTOR, threads=1)
    for number in range(40):
        ground = Image.new("RGB", (130, 100), (60, 90, 60))
        x, y = 5 + number % 8 * 10, 3 + number // 8 * 10
        ground.paste(draw_head(number % 3, number).resize((46, 46)), (x, y))
        picture = np.asarray(ground)
        found += [(head, (x, y, x + 46, y + 46), picture) for head in find_heads(detector, picture)]
    assert len(found) > 20
    for head, place, picture in found:
        assert not head.whole_picture and iou(as_boxes([head.box]), as_boxes([place]))[0, 0] > 0.3
        np.testing.assert_array_equal(head.picture, crop_head(picture, np.array(head.box)))


def test_heads_of_a_page_are_found_where_they_were_drawn_most_confident_first(detector):
    found = find_heads(detector, page())
    places = as_boxes([(30 + 190 * (n % 3), 30 + 180 * (n // 3), 150 + 190 * (n % 3), 150 + 180 * (n // 3)) for n in range(6)])
    shared = iou(as_boxes([head.box for head in found]), places) > 0.3
    assert shared.sum(axis=0).tolist() == shared.sum(axis=1).tolist() == [1] * 6
    assert not any(head.whole_picture for head in found)
    assert [head.confidence for head in found] == sorted((head.confidence for head in found), reverse=True)


def test_a_found_head_is_shown_as_it_is_cut_for_training(detector):
    picture = page()
    boxes, scores = detector.detect(picture)
    for head, box, score in zip(find_heads(detector, picture), boxes, scores, strict=True):
        assert head.box == tuple(box.tolist()) and head.confidence == score
        np.testing.assert_array_equal(head.picture, crop_head(picture, box))


def centerd(size: tuple[int, int], side: int) -> np.ndarray:
    ground = Image.new("RGB", size, (235, 240, 250))
    ground.paste(draw_head(0, 1).resize((side, side)), ((size[0] - side) // 2, (size[1] - side) // 2))
    return np.asarray(ground)


def fills(boxes: np.ndarray, longer: int) -> bool:
    """The rule: some head's crop, 1.2 times its box, is six tenths of the picture's longer side."""
    return any(1.2 * max(right - left, bottom - top) >= 0.6 * longer for left, top, right, bottom in boxes.tolist())


@pytest.mark.parametrize("size", [(600, 600), (600, 400), (400, 600), (600, 360), (360, 600)])
def test_a_picture_is_a_head_crop_from_six_tenths_of_its_longer_side(detector, size):
    """What the detector sees decides it. The last two are too long for a head crop."""
    decisions = set()
    for side in range(400, 580, 20):
        picture = centerd(size, side)
        boxes, scores = detector.detect(picture)
        if len(boxes):
            whole = fills(boxes, 600) and min(size) > 360
            found = find_heads(detector, picture)
            assert [head.whole_picture for head in found] == ([True] if whole else [False] * len(boxes))
            decisions.add(whole)
    assert decisions == ({True, False} if min(size) > 360 else {False})


@pytest.mark.parametrize("size", [(300, 300), (300, 220), (300, 180)])
def test_a_small_picture_is_searched_twice_before_it_counts_as_a_page(detector, size):
    second = 0
    for side in range(200, 290, 10):
        picture = centerd(size, side)
        boxes, scores = detector.detect(picture)
        edge = round(FRAME * 300)
        framed, _ = detector.detect(np.pad(picture, ((edge, edge), (edge, edge), (0, 0)), constant_values=255))
        found = find_heads(detector, picture)
        square = min(size) > 180
        if square and (fills(boxes, 300) or fills(clip(framed - np.float32(edge), *size), 300)):
            assert [head.whole_picture for head in found] == [True]
            second += not fills(boxes, 300)
        elif len(boxes):
            assert [head.box for head in found] == [tuple(box) for box in boxes.tolist()]
            assert not any(head.whole_picture for head in found)
    assert bool(second) == (min(size) > 180)


def test_a_flipped_page_has_flipped_heads(detector):
    picture = page()
    straight = as_boxes([head.box for head in find_heads(detector, picture)])
    flipped = as_boxes([head.box for head in find_heads(detector, picture[:, ::-1])])
    mirrored = np.stack([600 - straight[:, 2], straight[:, 1], 600 - straight[:, 0], straight[:, 3]], axis=1)
    assert len(flipped) == len(mirrored) == 6
    assert (iou(mirrored, flipped).max(axis=1) > 0.7).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (600, 10), (10, 600), (1, 90), (300, 300), (640, 480)], ids=str)
@pytest.mark.parametrize("gray", [0, 255])
def test_where_nothing_is_drawn_no_head_is_found(detector, size, gray):
    assert find_heads(detector, np.full((size[1], size[0], 3), gray, np.uint8)) == []


def test_noise_of_any_shape_gives_boxes_inside_the_picture(detector):
    rng = np.random.default_rng(0)
    for width, height in [(1, 1), (3, 2), (50, 50), (64, 40), (200, 120), (33, 90)]:
        picture = np.kron(rng.integers(0, 256, (height, width, 3)), np.ones((4, 4, 1))).astype(np.uint8)[:height, :width]
        for head in find_heads(detector, picture):
            left, top, right, bottom = head.box
            assert 0 <= left < right <= width and 0 <= top < bottom <= height and head.picture.size
        assert isinstance(find_heads(detector, picture), list)


def test_the_picture_is_left_as_it_was(detector):
    picture = np.asarray(draw_head(1, 0)).copy()
    before = picture.copy()
    find_heads(detector, picture)
    np.testing.assert_array_equal(picture, before)


class Crowd:
    """Stands for a detector that finds very many heads."""

    confidence, confidence_of = 0.4, float

    def detect(self, picture: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
        left = np.arange(3 * MAX_HEADS, dtype=np.float32)
        return np.stack([left, left * 0, left + 9, left * 0 + 9], axis=1), np.linspace(0.99, 0.4, 3 * MAX_HEADS)


def test_of_a_crowd_the_most_confident_heads_are_taken():
    found = find_heads(Crowd(), np.zeros((500, 500, 3), np.uint8))
    assert len(found) == MAX_HEADS and [head.box[0] for head in found] == list(range(MAX_HEADS))


@pytest.mark.parametrize("size", [(4000, 400), (400, 4000)], ids=str)
def test_heads_of_a_strip_are_cut_from_where_they_are(detector, size):
    ground = Image.new("RGB", size, (235, 240, 250))
    places = [(120, 900), (90, 1900), (140, 3100)]
    take, rng = cast_cutouts(2, characters=8), np.random.default_rng(0)
    for place in places:
        head = Image.fromarray(take(rng).picture)
        head.thumbnail((200, 200))
        ground.paste(head, place if size[0] == 400 else place[::-1], head)
    picture = np.asarray(ground)
    found = sorted(find_heads(detector, picture), key=lambda head: sum(head.box))
    corners = [place if size[0] == 400 else place[::-1] for place in places]
    expected = as_boxes([(x, y, x + 200, y + 200) for x, y in corners])
    assert len(found) == 3 and not any(head.whole_picture for head in found)
    for head, place in zip(found, expected):
        assert iou(as_boxes([head.box]), place[None])[0, 0] > 0.4
        np.testing.assert_array_equal(head.picture, crop_head(picture, np.array(head.box)))


def test_a_picture_that_is_said_to_be_one_head_is_not_searched():
    class NoSearch:
        """Stands for a detector that must not be asked."""

    for size in [(40, 300), (300, 40), (1, 1), (600, 400)]:
        picture = np.full((*size, 3), 255, np.uint8)
        (head,) = find_heads(NoSearch(), picture, Search(head=True))
        assert (head.box, head.confidence, head.whole_picture) == ((0, 0, size[1], size[0]), 1, True)
        assert head.picture is picture


@pytest.mark.parametrize(
    ("detail", "head", "why"), [("fine", False, "'fine'.*normal or high"), ("high", True, "one of the two")]
)
def test_a_contradictory_search_is_refused(detail, head, why):
    with pytest.raises(ValueError, match=why):
        Search(detail, head)


class Unsure:
    """Stands for a detector that finds one box that it is not sure of: in the picture, the frame, and the second frame."""

    confidence, confidence_of = 0.4, float

    def __init__(self, scores: tuple[float, ...], share: float):
        self.scores, self.share, self.searches = scores, share, 0

    def detect(self, picture: np.ndarray, confidence: float):
        frame = (0, 0.6, 0.3)[self.searches]
        score, picture_side = np.array([self.scores[self.searches]], np.float32), max(picture.shape) / (1 + 2 * frame)
        self.searches += 1
        box = as_boxes([[0, 0, self.share * picture_side, 9]]) + np.float32(frame * picture_side)
        return box[score > confidence], score[score > confidence]


@pytest.mark.parametrize(
    ("size", "scores", "share", "answer", "searches"),
    [
        ((200, 200), (0.2, 0.3, 0.15), 0.8, 0.3, 3),
        ((200, 140), (0.05, 0.05, 0.3), 0.8, 0.3, 3),
        ((CROP_SIDE, CROP_SIDE), (0.04, 0.3, 0.15), 0.8, 0.3, 3),
        ((200, 200), (0.05, 0.05, 0.05), 0.8, None, 3),  # too faint
        ((200, 200), (0.3, 0.3, 0.02), 0.8, None, 3),  # seen twice only
        ((200, 200), (0.3, 0.02, 0.3), 0.8, None, 2),
        ((200, 200), (0.02, 0.3, 0.3), 0.8, None, 2),
        ((200, 200), (0.3, 0.3, 0.3), 0.3, None, 2),  # it doesn't fill the picture
        ((200, 100), (0.3, 0.3, 0.3), 0.8, None, 1),  # too long
        ((CROP_SIDE + 9, CROP_SIDE + 9), (0.3, 0.3, 0.3), 0.8, None, 2),  # too large
    ],
)
def test_a_small_picture_is_a_head_crop_if_each_search_sees_a_faint_head_that_fills_it(size, scores, share, answer, searches):
    detector = Unsure(scores, share)
    found = find_heads(detector, np.zeros((*size[::-1], 3), np.uint8))
    assert [(head.whole_picture, head.confidence) for head in found] == ([(True, np.float32(answer))] if answer else [])
    assert detector.searches == searches


@pytest.mark.parametrize("draw", [pattern, interface])
def test_patterns_and_windows_of_programs_are_not_taken_for_faint_heads(detector, draw):
    """At the sizes of head crops."""
    found = 0
    for number in range(24):
        rng = np.random.default_rng([98, number])
        width = (64, 120, 200, 320)[number % 4]
        picture = draw(rng, width, round(width * rng.uniform(0.7, 1)))
        found += bool(find_heads(detector, picture)) and not len(detector.detect(picture)[0])
    assert found <= 1


def test_high_detail_adds_small_heads_and_takes_a_head_crop_whole(detector):
    crowd = page(6, 40)
    crowd = np.pad(crowd, ((0, 600), (0, 1000), (0, 0)), mode="edge")
    coarse, fine = find_heads(detector, crowd), find_heads(detector, crowd, Search("high"))
    assert len(coarse) < len(fine) >= 5 and not any(head.whole_picture for head in fine)
    np.testing.assert_array_equal(fine[0].picture, crop_head(crowd, np.array(fine[0].box)))
    for side in (64, 160, 300, 1000):
        (head,) = find_heads(detector, np.asarray(draw_head(1, 0).resize((side, side))), Search("high"))
        assert head.whole_picture
    assert find_heads(detector, np.full((900, 900, 3), 255, np.uint8), Search("high")) == []
