"""Degraded heads."""

import numpy as np
import pytest
from PIL import Image

from crystal_eyes.encoder.degradation import KINDS, compressed, covered, degraded, framed, lit, small, tilted
from tests.runs import draw_head


def head(width: int = 200, height: int = 160) -> Image.Image:
    return draw_head(1, 2).resize((width, height))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(200, 160), (48, 48), (1, 1), (1, 300)])
def test_a_degraded_head_is_an_rgb_picture_another_one_and_the_same_for_a_seed(kind, size):
    given = head(*size)
    before = given.tobytes()
    found = [kind(given, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert all(one.mode == "RGB" and min(one.size) >= 1 for one in found)
    assert given.tobytes() == before
    assert found[0].tobytes() == found[1].tobytes()
    if min(size) > 100:
        assert found[0].tobytes() not in (before, found[2].tobytes())


def test_small_ones_have_24_to_64_pixels_and_their_shape():
    sides = [small(head(), np.random.default_rng(seed)).size for seed in range(50)]
    shorter = [height for _, height in sides]
    assert min(shorter) >= 24 and max(shorter) <= 64 and max(shorter) - min(shorter) > 20
    assert all(width / height == pytest.approx(200 / 160, abs=0.05) for width, height in sides)
    assert small(head(20, 20), np.random.default_rng(0)).size == (20, 20)  # none is made larger


def test_compression_leaves_artifacts():
    found = compressed(head(), np.random.default_rng(0))
    same = head().resize(found.size, Image.Resampling.BOX)
    assert 1 < np.abs(np.asarray(found, int) - np.asarray(same, int)).mean() < 20


def test_light_has_a_color_and_a_direction():
    white = Image.new("RGB", (64, 64), "white")
    for seed in range(10):
        shown = np.asarray(lit(white, np.random.default_rng(seed)), int)
        channels = shown.reshape(-1, 3).mean(axis=0)
        assert np.ptp(channels) > 20
        brightness = shown.sum(axis=2)
        assert brightness.max() - brightness.min() > 20


def test_what_covers_a_head_has_one_color_and_leaves_half_of_it():
    for seed in range(20):
        given, shown = head(), covered(head(), np.random.default_rng(seed))
        changed = (np.asarray(given) != np.asarray(shown)).any(axis=2)
        assert 0.2 < changed.mean() <= 0.51
        assert len(np.unique(np.asarray(shown)[changed], axis=0)) == 1


def test_a_tilted_head_keeps_its_size_and_a_framed_one_about():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        assert tilted(head(), rng).size == (200, 160)
        width, height = framed(head(), rng).size
        assert 150 <= width <= 250 and 120 <= height <= 200


def test_all_kinds_occur():
    rng, given = np.random.default_rng(0), head()
    sizes = {degraded(given, rng).size for _ in range(60)}
    assert (200, 160) in sizes and len(sizes) > 10
