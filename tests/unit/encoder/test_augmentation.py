import numpy as np
import pytest
from PIL import Image

from crystal_eyes.encoder.augmentation import VIEWS, augment, framed_and_augmented

every_view = pytest.mark.parametrize("views", VIEWS)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def blotches(side: int = 40) -> Image.Image:
    small = rng(7).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((side, side), Image.Resampling.NEAREST)


@every_view
@pytest.mark.parametrize("size", [(40, 40), (90, 31), (2, 2)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_view_is_a_square_of_uint8_rgb(size, mode, views):
    for seed in range(24):
        view = augment(blotches().resize(size).convert(mode), 32, rng(seed), views)
        assert view.shape == (32, 32, 3) and view.dtype == np.uint8


@every_view
def test_the_generator_alone_decides_the_view(views):
    found = [augment(blotches(), 32, rng(seed), views) for seed in (0, 0, 1, 2, 3)]
    assert (found[0] == found[1]).all()
    assert len({view.tobytes() for view in found}) == 4


@every_view
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_picture_itself_is_left_as_it_is(mode, views):
    picture = blotches().convert(mode)
    before = picture.tobytes()
    for seed in range(24):
        augment(picture, 32, rng(seed), views)
    assert picture.tobytes() == before


def test_hue_is_kept():
    for seed in range(60):
        red, green, blue = augment(Image.new("RGB", (40, 40), (200, 120, 40)), 32, rng(seed)).reshape(-1, 3).mean(axis=0)
        assert red >= green >= blue


@pytest.mark.parametrize(("views", "least", "most"), [("light", 0.03, 0.2), ("serving", 0.1, 0.35)])
def test_some_views_are_mirrored_and_some_are_gray(views, least, most):
    halves = Image.new("RGB", (40, 40), (250, 200, 160))
    halves.paste((20, 60, 120), (0, 0, 20, 40))
    found = [augment(halves, 32, rng(seed), views).astype(int) for seed in range(200)]
    colored = [view for view in found if np.ptp(view, axis=2).max() > 0]
    dark_left = [view[:, :8].mean() < view[:, -8:].mean() for view in colored]
    assert 0.35 < np.mean(dark_left) < 0.65
    assert least < 1 - len(colored) / len(found) < most


def test_behind_a_transparent_picture_white_is_frequent_and_other_colors_occur():
    clear = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    means = [augment(clear, 16, rng(seed)).reshape(-1, 3).mean(axis=0) for seed in range(200)]
    grayish = np.mean([np.ptp(mean) < 3 and mean.mean() > 170 for mean in means])  # white, darkened at most to 0.7
    assert 0.4 < grayish < 0.75


def test_most_of_the_head_stays_in_view():
    ramp = Image.fromarray(np.tile(np.arange(100, 200, dtype=np.uint8)[:, None, None], (1, 100, 3)))
    for seed in range(40):
        rows = augment(ramp, 64, rng(seed)).mean(axis=(1, 2))
        assert abs(rows[-1] - rows[0]) >= 100 * 0.75 * 0.7 * 0.7 - 4  # share in view, least brightness, least contrast


def test_views_for_serving_include_what_users_upload():
    """Lines, colored light and JPEG, in a flat picture: white with nothing drawn, other channels, noise about an edge."""
    flat = Image.new("RGB", (64, 64), (200, 120, 40))
    found = [augment(flat, 32, rng(seed), "serving").astype(float) for seed in range(300)]
    white = np.mean([(view >= 250).mean() > 0.5 for view in found])
    assert 0.03 < white < 0.2  # its lines
    light = [view.reshape(-1, 3).mean(axis=0) for view in found if (view.std(axis=(0, 1)) < 2).all()]
    ratios = np.array([mean[0] / mean[1] for mean in light if np.ptp(mean) > 20])
    assert ratios.max() > 1.25 * np.median(ratios) or ratios.min() < np.median(ratios) / 1.25


@every_view
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_framed_head_is_what_its_view_is_made_of_in_its_own_colors(mode, views):
    color = (200, 120, 40)
    halves = Image.new("RGB", (64, 64), color)
    halves.paste((20, 60, 120), (0, 0, 24, 64))
    others = 0
    for seed in range(60):
        framed, seen = (np.array(one) for one in framed_and_augmented(halves.convert(mode), 32, rng(seed), views))
        np.testing.assert_array_equal(seen, augment(halves.convert(mode), 32, rng(seed), views))
        assert framed.shape == (32, 32, 3) and framed.dtype == np.uint8
        assert (framed == color).all(axis=2).mean() > 0.2  # crops, margins and turns leave much of the larger half
        others += not (seen == color).all(axis=2).any()
        light, dark = (seen[mask].mean() for mask in ((framed == color).all(axis=2), (framed == (20, 60, 120)).all(axis=2)))
        if views == "light":  # else it may be lines, or hidden
            assert light > dark  # both are mirrored, or none is
    assert others > 30
