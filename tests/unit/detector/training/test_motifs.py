import numpy as np

from crystal_eyes.boxes import as_boxes
from crystal_eyes.detector.training.canvas import Scene
from crystal_eyes.detector.training.motifs import motif
from crystal_eyes.detector.training.placing import rows_of_motifs, sheet


def test_motifs_differ_and_leave_some_ground_free():
    drawn = [motif(np.random.default_rng(number)) for number in range(60)]
    assert len({one.tobytes() for one in drawn}) == 60
    for one in drawn:
        assert 0.03 < (one[..., 3] > 127).mean() < 0.9
        assert one[..., :3][one[..., 3] == 0].max(initial=0) == 0  # nothing is drawn where it is transparent
    np.testing.assert_array_equal(drawn[0], motif(np.random.default_rng(0)))


def test_rows_of_motifs_fill_a_scene_without_a_head():
    scene = Scene(np.full((300, 400, 3), 255, np.uint8))
    rows_of_motifs(scene, np.random.default_rng(0))
    assert (scene.picture != 255).any(axis=2).mean() > 0.05
    assert len(scene.visible_boxes()) == 0


def test_a_sheet_shows_pictures_small_with_the_boxes_of_their_heads():
    picture = np.full((200, 300, 3), 128, np.uint8)
    picture[50:110, 100:180] = (255, 0, 0)

    scene = sheet(np.random.default_rng(0), lambda _: (picture, as_boxes([100, 50, 180, 110])), 640)

    boxes = scene.visible_boxes()
    assert max(scene.picture.shape) == 640 and 4 <= len(boxes) <= 16
    red = (scene.picture[..., 0] > 200) & (scene.picture[..., 1] < 100)
    for left, top, right, bottom in np.rint(boxes).astype(int):
        assert red[top + 1 : bottom - 1, left + 1 : right - 1].all()
        red[top - 1 : bottom + 1, left - 1 : right + 1] = False
    assert not red.any()
