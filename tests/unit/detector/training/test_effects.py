import cv2
import numpy as np
import pytest

from crystal_eyes.detector.training.backgrounds import interface, pattern
from crystal_eyes.detector.training.canvas import Cutout
from crystal_eyes.detector.training.effects import in_one_ink, line_art, screentone, with_soft_edge, without_surroundings, worn


def a_picture() -> np.ndarray:
    picture = np.full((120, 160, 3), (200, 180, 90), np.uint8)
    cv2.circle(picture, (80, 60), 35, (60, 20, 20), -1)
    return picture


def a_head() -> Cutout:
    """A dark head in the middle of a light, opaque picture."""
    return Cutout(np.dstack([a_picture(), np.full((120, 160), 255, np.uint8)]), (45, 25, 115, 95))


EFFECTS = [lambda p, rng: in_one_ink(p, rng, True), lambda p, rng: in_one_ink(p, rng, False), line_art, screentone, worn]


@pytest.mark.parametrize("effect", EFFECTS)
def test_an_effect_keeps_the_size_and_the_picture_that_it_was_given(effect):
    before = a_picture()
    for seed in range(6):
        after = effect(before, np.random.default_rng(seed))
        assert after.shape == before.shape and after.dtype == np.uint8 and (after != before).any()
    np.testing.assert_array_equal(before, a_picture())


def test_line_art_is_white_with_dark_lines_at_edges():
    drawn = line_art(a_picture(), np.random.default_rng(1))
    assert (drawn[:10] == 255).all() and (drawn[58:62, 76:84] > 230).all()  # flat areas
    assert drawn[60, 40:50].min() < 150  # the circle's border


def test_screentone_prints_in_black_and_white_dots():
    gradient = np.repeat(np.linspace(0, 255, 200).astype(np.uint8)[None, :, None], 80, axis=0).repeat(3, axis=2)
    printed = screentone(gradient, np.random.default_rng(0))
    assert (printed[:, :30] < 20).mean() > 0.9 and (printed[:, -30:] > 235).mean() > 0.9
    assert 0.2 < (printed[:, 80:120] > 128).mean() < 0.8


def test_a_soft_edge_fades_out_around_the_head_and_leaves_its_middle():
    for seed in range(10):
        soft = with_soft_edge(a_head(), np.random.default_rng(seed))
        alpha = soft.picture[..., 3]
        assert (alpha[50:70, 70:90] == 255).all() and alpha[0, 0] == alpha[-1, -1] == 0
        assert soft.box == a_head().box


def test_a_head_is_cut_out_by_its_colors():
    alone = without_surroundings(a_head())
    circle = cv2.circle(np.zeros((120, 160), np.uint8), (80, 60), 35, 1, -1) > 0
    assert alone is not None and (alone.picture[circle, 3] > 127).mean() > 0.95
    assert (alone.picture[~circle, 3] > 127).mean() < 0.05


def test_a_head_like_its_surroundings_is_not_cut_out():
    assert without_surroundings(Cutout(np.full((60, 60, 4), 255, np.uint8), (10, 10, 50, 50))) is None


@pytest.mark.parametrize("draw", [pattern, interface])
@pytest.mark.parametrize("size", [(640, 320), (7, 90), (1, 1)])
def test_patterns_and_interfaces_have_any_size(draw, size):
    pictures = [draw(np.random.default_rng(seed), *size) for seed in range(12)]
    assert {picture.shape for picture in pictures} == {(size[1], size[0], 3)} and pictures[0].dtype == np.uint8
