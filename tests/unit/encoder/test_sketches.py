import numpy as np
import pytest
from PIL import Image, ImageDraw

from crystal_eyes.encoder.embeddings import embed_changed
from crystal_eyes.encoder.runtime import OnnxEncoder
from crystal_eyes.encoder.sketches import gray, lines, screentone
from crystal_eyes.image_stats import is_monochrome
from tests.runs import draw_head


@pytest.fixture
def encoder(exported):
    return OnnxEncoder(exported[1], 1)


def outlined(side: int = 128, line: int = 2) -> Image.Image:
    """A flat colored disc with a dark outline."""
    picture = Image.new("RGB", (side, side), (250, 220, 90))
    ImageDraw.Draw(picture).ellipse((side // 4, side // 4, 3 * side // 4, 3 * side // 4), (240, 150, 160), (20, 10, 30), line)
    return picture


@pytest.mark.parametrize("make", [gray, lines, screentone])
@pytest.mark.parametrize("size", [(1, 1), (48, 48), (300, 20)])
def test_a_sketch_has_the_pictures_size_and_no_color(make, size):
    picture = draw_head(1, 0).resize(size)
    sketch = make(picture)
    assert sketch.mode == "RGB" and sketch.size == size and is_monochrome(sketch)
    pixels = np.asarray(sketch)
    assert (pixels == pixels[..., :1]).all()
    assert picture.mode == "RGB" and picture.size == size


def test_gray_is_the_luminance():
    red, green, blue = np.asarray(draw_head(1, 0), float).transpose(2, 0, 1)
    expected = 0.299 * red + 0.587 * green + 0.114 * blue
    assert np.abs(np.asarray(gray(draw_head(1, 0)), float)[..., 0] - expected).max() <= 1


@pytest.mark.parametrize(("side", "line"), [(64, 1), (128, 2), (256, 4), (1024, 16)])
def test_lines_keep_the_outline_dark_and_what_is_flat_white(side, line):
    sketch = np.asarray(lines(outlined(side, line)))[..., 0]
    assert sketch[side // 4 + line // 2, side // 2] < 60 and sketch[side // 2, side // 4 + line // 2] < 60
    assert (sketch[: side // 8] == 255).all() and sketch[side // 2, side // 2] == 255
    assert (sketch > 200).mean() > 0.85


def test_lines_do_not_care_how_bright_the_paper_is():
    paper = np.asarray(outlined(), int)
    darker = Image.fromarray((paper - paper.min() + 5).clip(0, 255).astype(np.uint8))
    assert np.abs(np.asarray(lines(outlined()), int) - np.asarray(lines(darker), int)).mean() < 2


@pytest.mark.parametrize("side", [16, 128])
@pytest.mark.parametrize("color", ["black", "white", (200, 40, 90)])
def test_a_flat_picture_has_no_lines(side, color):
    assert (np.asarray(lines(Image.new("RGB", (side, side), color))) == 255).all()


@pytest.mark.parametrize("batch", [1, 3, 4, 32])
@pytest.mark.parametrize("count", [0, 1, 4, 7])
def test_every_other_picture_is_embedded_gray_and_the_rest_as_lines(encoder, batch, count):
    pictures = [draw_head(number, 0) for number in range(count)]
    found = embed_changed(encoder, iter(pictures), (gray, lines), batch)
    assert found.shape == (count, 16) and found.dtype == np.float32
    for number, picture in enumerate(pictures):
        sketch = (gray, lines)[number % 2](picture).resize((32, 32), Image.Resampling.BICUBIC)
        np.testing.assert_allclose(found[number], encoder(np.asarray(sketch)[None])[0], atol=1e-5)


def test_with_one_change_every_picture_is_changed_so(encoder):
    pictures = [draw_head(number, 0) for number in range(3)]
    found = embed_changed(encoder, pictures, (lines,))
    expected = [encoder(np.asarray(lines(one).resize((32, 32), Image.Resampling.BICUBIC))[None])[0] for one in pictures]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("side", [60, 128, 512])
def test_a_screentone_is_as_dark_as_the_picture_and_only_black_and_white(side):
    ink = []
    for value in (30, 100, 160, 230):
        dots = np.asarray(screentone(Image.new("RGB", (side, side), (value,) * 3)))
        assert set(np.unique(dots)) <= {0, 255}
        ink.append((dots == 0).mean())
    assert ink == sorted(ink, reverse=True) and ink[0] > 0.8 and ink[-1] < 0.2 and 0.2 < ink[1] < 0.8


def test_a_screentone_keeps_the_outline():
    sketch = np.asarray(screentone(outlined()))[..., 0]
    assert sketch[33, 64] < 60 and sketch[64, 33] < 60
