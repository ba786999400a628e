import math

import numpy as np
import pytest

from crystal_eyes.boxes import as_boxes
from crystal_eyes.detector.training.backgrounds import synthetic_background
from crystal_eyes.detector.training.canvas import Cutout, Scene
from crystal_eyes.detector.training.placing import crowd, panels
from crystal_eyes.detector.training.scenes import LONG_SIDE, compose, compose_scenes, head_picture, headless_picture

RED = (255, 0, 0)


def head(width: int, height: int, before: int = 12, after: int = 30) -> Cutout:
    """A red ellipse, off the middle of a transparent picture."""
    y, x = np.mgrid[: before + height + after, : before + width + 2 * after]
    inside = ((x + 0.5 - before - width / 2) / (width / 2)) ** 2 + ((y + 0.5 - before - height / 2) / (height / 2)) ** 2 <= 1
    picture = np.zeros((*inside.shape, 4), np.uint8)
    picture[inside] = (*RED, 255)
    return Cutout(picture, (before, before, before + width, before + height))


def a_scene(width: int = 400, height: int = 300) -> Scene:
    return Scene(np.full((height, width, 3), 255, np.uint8))


def painted(scene: Scene) -> list[int]:
    rows, columns = np.nonzero(scene.picture[..., 1] < 128)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize("side", [6, 20, 49, 51, 77, 120])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("angle", [0, 90, -90, 180, 30, -57])
def test_the_box_encloses_the_pasted_head(side, mirrored, angle):
    scene = a_scene()
    scene.paste(head(100, 60), (190.5, 140.25), side, angle, mirrored)
    (box,) = scene.visible_boxes()
    np.testing.assert_allclose(box, painted(scene), atol=2)
    if angle % 90 == 0:
        sides = [side, 0.6 * side] if angle % 180 == 0 else [0.6 * side, side]
        np.testing.assert_allclose(box[2:] - box[:2], sides, atol=0.01)
    np.testing.assert_allclose((box[:2] + box[2:]) / 2, [190.5, 140.25], atol=0.01)


@pytest.mark.parametrize(("angle", "mirrored", "expected"), [(0, False, "left"), (0, True, "right"), (90, False, "top"),
                                                              (-90, False, "bottom"), (180, True, "left")])  # fmt: skip
def test_a_head_turns_clockwise_after_it_is_mirrored(angle, mirrored, expected):
    cutout = head(80, 80)
    cutout.picture[:, :42, :3] = (0, 0, 255)  # its left is blue
    scene = a_scene()
    scene.paste(cutout, (200, 150), 80, angle, mirrored)
    around = {"left": (180, 150), "right": (220, 150), "top": (200, 130), "bottom": (200, 170)}
    assert [name for name, (x, y) in around.items() if scene.picture[y, x].tolist() == [0, 0, 255]] == [expected]


def test_a_head_mostly_outside_has_no_box():
    cutout = head(80, 80)
    for middle in ((-5, 150), (405, 150), (200, -5), (200, 305), (-1000, 150), (200, 1000)):
        scene = a_scene()
        scene.paste(cutout, middle, 80, 0, False)
        assert len(scene.visible_boxes()) == 0
    for middle, cut in (((10, 150), [0, 110, 50, 190]), ((200, 290), [160, 250, 240, 300])):
        scene = a_scene()
        scene.paste(cutout, middle, 80, 0, False)
        np.testing.assert_allclose(scene.visible_boxes(), [cut], atol=0.01)


@pytest.mark.parametrize(("shift", "left"), [(0, 1), (20, 1), (50, 2), (300, 2)])
def test_a_head_mostly_behind_another_has_no_box(shift, left):
    scene = a_scene()
    scene.paste(head(80, 80), (50 + shift, 100), 80, 0, False)
    scene.paste(head(80, 80), (50, 100), 80, 0, False)
    boxes = scene.visible_boxes()
    assert len(boxes) == left
    np.testing.assert_allclose(boxes[-1], [10, 60, 90, 140], atol=0.01)


def test_heads_of_the_background_can_be_hidden_too():
    scene = a_scene()
    scene.add_boxes(as_boxes([[20, 20, 60, 60], [200, 100, 280, 180]]))
    assert len(scene.visible_boxes()) == 2
    scene.paste(head(80, 80), (40, 40), 80, 0, False)
    np.testing.assert_allclose(scene.visible_boxes(), [[200, 100, 280, 180], [0, 0, 80, 80]], atol=0.01)


def draw_cutout(rng: np.random.Generator) -> Cutout:
    return head(*rng.integers(60, 120, 2))


def draw_background(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return np.full((200, 300, 3), 240, np.uint8), as_boxes([[100, 50, 180, 130]])


def composed(seeds, *given):
    return [compose(np.random.default_rng(seed), draw_cutout, *given) for seed in seeds]


def saturation(picture) -> int:
    """How far apart the channels of a pixel are at most, of some pixels; 0 for a gray picture."""
    return int(np.ptp(picture[::8, ::8].astype(int), axis=2).max())


@pytest.fixture(scope="module")
def many():
    return composed(range(150))


def test_a_scene_has_its_long_side_and_boxes_inside(many):
    sides = [max(picture.shape) for picture, _ in many]
    assert 0.75 < np.mean([side == LONG_SIDE for side in sides]) < 0.95  # the others show one head that fills them
    for picture, boxes in many:
        height, width = picture.shape[:2]
        assert picture.dtype == np.uint8 and picture.shape[2] == 3
        assert max(width, height) <= 400 and len(boxes) == 1 if max(width, height) < LONG_SIDE else width * 2 >= LONG_SIDE
        assert boxes.dtype == np.float32 and boxes.shape == (len(boxes), 4)
        assert (boxes >= 0).all() and (boxes <= [width, height] * 2).all()
        assert (boxes[:, 2:] - boxes[:, :2] > 2).all()


def test_scenes_are_of_all_kinds(many):
    counts = [len(boxes) for _, boxes in many]
    assert 0.03 < np.mean([count == 0 for count in counts]) < 0.3 and max(counts) >= 6
    assert len({picture.shape for picture, _ in many}) > 20 and any(p.shape[0] > p.shape[1] for p, _ in many)
    gray = [saturation(picture) == 0 for picture, _ in many]
    assert 0.03 < np.mean(gray) < 0.3
    sides = np.concatenate([(boxes[:, 2:] - boxes[:, :2]).max(axis=1) for _, boxes in many])
    assert sides.min() < 40 and sides.max() > 250


def test_what_a_box_holds_is_a_head(many):
    shares = []
    for picture, boxes in many:
        if saturation(picture) > 150:
            parts = [picture[int(y) : math.ceil(b), int(x) : math.ceil(r)] for x, y, r, b in boxes]
            shares += [((part > 200) == (True, False, False)).all(axis=2).mean() for part in parts]
    assert len(shares) > 150 and np.mean(np.array(shares) > 0.4) > 0.95


def test_the_seed_decides():
    (first, boxes), (again, same), (other, _) = composed([5, 5, 6])
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(boxes, same)
    assert first.shape != other.shape or (first != other).any()


def test_two_of_five_scenes_have_a_labeled_background_and_keep_its_heads():
    before, _ = draw_background(None)
    on_it = [(picture, boxes) for picture, boxes in composed(range(60), draw_background) if picture.shape == before.shape]
    assert 14 < len(on_it) < 34
    kept = [any(np.allclose(box, [100, 50, 180, 130]) for box in boxes) for _, boxes in on_it]
    assert np.mean(kept) > 0.7
    assert any(len(boxes) > 1 for _, boxes in on_it)
    np.testing.assert_array_equal(draw_background(None)[0], before)


def test_the_first_scenes_do_not_depend_on_the_count():
    few, more = (list(compose_scenes(count, "scene", [1, 2], draw_cutout)) for count in (2, 4))
    assert [name for name, _, _ in more] == [f"scene-0000{n}" for n in range(4)]
    for (_, picture, boxes), (_, same, as_well) in zip(few, more):
        np.testing.assert_array_equal(picture, same)
        np.testing.assert_array_equal(boxes, as_well)
    (_, other, _), *_ = compose_scenes(1, "scene", [1, 3], draw_cutout)
    assert other.shape != few[0][1].shape or (other != few[0][1]).any()


@pytest.mark.parametrize("size", [(640, 320), (7, 90), (1, 1)])
def test_backgrounds_of_any_size(size):
    pictures = [synthetic_background(np.random.default_rng(seed), *size) for seed in range(20)]
    assert {picture.shape for picture in pictures} == {(size[1], size[0], 3)} and pictures[0].dtype == np.uint8
    assert len({picture.tobytes() for picture in pictures}) == 20


@pytest.mark.parametrize("side", [20, 40, 80, 160, 240, 400])
@pytest.mark.parametrize("mirrored", [False, True])
def test_an_enlarged_head_fills_its_box(side, mirrored):
    scene = a_scene(500, 500)
    scene.paste(Cutout(np.full((40, 40, 4), (255, 0, 0, 255), np.uint8), (0, 0, 40, 40)), (250, 250), side, 0, mirrored)
    np.testing.assert_allclose(painted(scene), scene.boxes[0], atol=1.01)


@pytest.mark.parametrize("opaque", [False, True])
def test_a_head_picture_is_filled_by_its_head(opaque):
    def draw(rng):
        cutout = head(100, 60, before=60, after=60)
        if opaque:
            cutout.picture[..., 3] = 255
        return cutout

    for seed in range(30):
        picture, (box,) = head_picture(np.random.default_rng(seed), draw)
        height, width = picture.shape[:2]
        assert picture.dtype == np.uint8 and 48 <= max(width, height) <= 401
        assert (box[2] - box[0]) > 0.4 * width and (box >= 0).all() and (box <= [width, height] * 2).all()
        inside = picture[round(box[1]) : round(box[3]), round(box[0]) : round(box[2])]
        assert ((inside[..., 0] > 200) & (inside[..., 1] < 60)).mean() > 0.6  # a red ellipse


def test_a_headless_picture_shows_no_part_of_a_head():
    def draw(rng):
        picture, boxes = draw_background(rng)
        x, y, right, bottom = boxes[0].astype(int)
        picture[y:bottom, x:right] = RED
        return picture, boxes

    for seed in range(40):
        picture = headless_picture(np.random.default_rng(seed), draw)
        assert picture.dtype == np.uint8 and 48 <= max(picture.shape[:2]) <= 401
        assert (picture == 240).all()


def test_there_is_no_headless_picture_of_a_head_alone():
    def draw(rng):
        return np.full((100, 80, 3), 240, np.uint8), as_boxes([[0, 0, 80, 100]])

    assert headless_picture(np.random.default_rng(0), draw) is None


def test_an_object_gets_no_box_and_hides_what_is_below():
    scene = a_scene()
    scene.paste(head(80, 80), (100, 100), 80, 0, False)
    scene.paste(head(80, 80), (300, 100), 80, 0, False, is_head=False)
    np.testing.assert_allclose(scene.visible_boxes(), [[60, 60, 140, 140]], atol=0.01)
    scene.paste(head(80, 80), (100, 100), 90, 0, False, is_head=False)
    assert len(scene.visible_boxes()) == 0


def test_a_crowd_consists_of_many_small_heads():
    scene = a_scene(640, 480)
    crowd(scene, np.random.default_rng(0), draw_cutout)
    boxes = scene.visible_boxes()
    assert len(boxes) > 8 and np.median((boxes[:, 2:] - boxes[:, :2]).max(axis=1)) < 60


def test_panels_show_labeled_pictures_whose_heads_keep_their_boxes():
    def labeled(rng):
        picture = np.full((200, 300, 3), 240, np.uint8)
        picture[50:130, 100:180] = RED
        return picture, as_boxes([[100, 50, 180, 130]])

    found = 0
    for seed in range(10):
        scene = a_scene(640, 480)
        panels(scene, np.random.default_rng(seed), draw_cutout, labeled)
        for x, y, right, bottom in scene.visible_boxes():
            inside = scene.picture[round(y) : round(bottom), round(x) : round(right)]
            share = ((inside[..., 0] > 200) & (inside[..., 1] < 60)).mean()
            found += share > 0.95  # a square: of a labeled picture, not an ellipse
            assert share > 0.5
    assert found > 10
