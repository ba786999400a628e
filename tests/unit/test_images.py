import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from crystal_eyes.images import PictureError, fit, flatten, load_head, open_picture, upright

RED, GREEN, BLUE = (220, 20, 30), (20, 200, 40), (20, 30, 220)


def encode(picture: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def noise(side: int = 24) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))


def halves(left, right, size=(40, 20)) -> Image.Image:
    picture = Image.new("RGB", size, right)
    picture.paste(left, (0, 0, size[0] // 2, size[1]))
    return picture


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header claims this size but that has almost no data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def close(pixel, color, tolerance: int = 12) -> bool:
    return bool(np.abs(np.asarray(pixel, int)[:3] - color).max() <= tolerance)


REFUSED = {
    "zero bytes": (b"", "empty"),
    "half a PNG": (encode(noise(), "PNG")[:600], "damaged"),
    "half a JPEG": (encode(noise(), "JPEG")[:600], "damaged"),
    "half a WebP": (encode(noise(), "WEBP", lossless=True)[:600], "damaged"),
    "a PNG cut in its header": (encode(noise(), "PNG")[:40], "^damaged: its header is incomplete"),
    "a GIF cut in its header": (encode(noise(), "GIF")[:10], "^damaged: its header is incomplete"),
    "text named .jpg": (b"not a picture\n" * 50, "not a PNG"),
    "30,000 x 30,000 pixels": (png_of_size(30_000, 30_000), "too large"),
    "slightly above the limit": (png_of_size(9_000, 9_000), "too large"),
    "a PNG without pixels": (png_of_size(30, 30), "damaged"),
    "SVG": (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', "not a PNG"),
    "PDF": (encode(noise(), "PDF"), "not a PNG"),
    "TIFF": (encode(noise(), "TIFF"), "not a PNG"),
    "ICO": (encode(noise(), "ICO"), "not a PNG"),
    "half an AVIF": (encode(noise(), "AVIF")[:200], "damaged"),
    "a BMP without pixels": (
        encode(noise(), "BMP")[:18] + bytes(8) + encode(noise(), "BMP")[26:],
        "no pixels|not a PNG|damaged",
    ),
}


@pytest.mark.parametrize("data, why", REFUSED.values(), ids=REFUSED)
def test_a_bad_picture_is_refused_in_one_line_that_says_why(data, why):
    with pytest.raises(PictureError, match=why) as caught:
        open_picture(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_damage_anywhere_is_a_picture_error_or_still_a_picture(kind, data):
    good = encode(noise(12), kind)
    place = data.draw(st.integers(0, len(good) - 1))
    cut = data.draw(st.booleans())
    bad = good[:place] if cut else good[:place] + bytes([good[place] ^ data.draw(st.integers(1, 255))]) + good[place + 1 :]
    try:
        head = load_head(bad, 16)
    except PictureError:
        return
    assert head.shape == (16, 16, 3) and head.dtype == np.uint8


@pytest.mark.parametrize("kind, options", [("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True})])
def test_lossless_formats_give_the_same_pixels(kind, options):
    np.testing.assert_array_equal(np.asarray(open_picture(encode(noise(), kind, **options))), np.asarray(noise()))


def test_an_avif_picture_is_read_also_upright_transparent_and_moving():
    left_red = halves(RED, BLUE, (64, 32))
    picture = open_picture(encode(left_red, "AVIF", quality=95))
    assert picture.size == (64, 32) and close(picture.getpixel((8, 16)), RED) and close(picture.getpixel((56, 16)), BLUE)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = open_picture(encode(left_red, "AVIF", quality=95, exif=exif))
    assert turned.size == (32, 64) and close(turned.getpixel((16, 8)), RED)
    clear = open_picture(encode(Image.new("RGBA", (16, 16), (*RED, 0)), "AVIF"))
    assert close(flatten(clear).getpixel((8, 8)), (255, 255, 255))
    frames = [Image.new("RGB", (16, 16), color) for color in (RED, GREEN)]
    assert close(
        flatten(open_picture(encode(frames[0], "AVIF", save_all=True, append_images=frames[1:]))).getpixel((8, 8)), RED
    )


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (16, 16), color) for color in (RED, GREEN, BLUE)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert Image.open(io.BytesIO(data)).n_frames == 3
    assert close(flatten(open_picture(data)).getpixel((8, 8)), RED)


def test_a_cmyk_jpeg_keeps_its_colors():
    data = encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG")
    assert Image.open(io.BytesIO(data)).mode == "CMYK"
    assert close(open_picture(data).getpixel((8, 8)), (255, 0, 0))


def test_16_bit_grayscale_is_scaled_not_clipped():
    values = np.repeat(np.array([[0, 257, 32_896, 65_535]], np.uint16), 4, axis=0)
    gray = np.asarray(open_picture(encode(Image.fromarray(values), "PNG")))
    assert gray[0].tolist() == [[v] * 3 for v in (0, 1, 128, 255)]


def test_a_photo_is_rotated_as_its_exif_says():
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise: the left side becomes the top
    picture = open_picture(encode(halves(RED, BLUE), "JPEG", exif=exif, quality=95))
    assert picture.size == (20, 40)
    assert close(picture.getpixel((10, 5)), RED) and close(picture.getpixel((10, 35)), BLUE)


@pytest.mark.parametrize("value", range(1, 9))
def test_every_orientation_is_applied_once_as_pillow_does_it(value):
    exif = Image.Exif()
    exif[0x0112] = value
    data = encode(noise().crop((0, 0, 24, 16)), "PNG", exif=exif)
    picture = open_picture(data)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert np.array_equal(picture, expected) and np.array_equal(upright(picture), expected)


@pytest.mark.parametrize(
    "exif",
    [b"Exif\0\0IM\0*\0\0\0\x08", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01"],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_data_that_cannot_be_read_say_nothing_about_the_picture(exif, kind):
    data = encode(halves(RED, BLUE), kind, exif=exif, quality=95)
    picture = open_picture(data)
    assert close(picture.getpixel((5, 10)), RED) and picture.size == (40, 20)
    assert np.array_equal(upright(picture), picture)  # as the recognizer does with a Pillow picture


def test_1_bit_and_grayscale_pictures_become_rgb():
    bits = Image.new("1", (8, 8), 1)
    bits.putpixel((0, 0), 0)
    picture = open_picture(encode(bits, "PNG"))
    assert picture.mode == "RGB" and picture.getpixel((0, 0)) == (0, 0, 0) and picture.getpixel((5, 5)) == (255,) * 3
    assert open_picture(encode(Image.new("L", (8, 8), 77), "PNG")).getpixel((3, 3)) == (77,) * 3


def palette_with_transparency() -> bytes:
    picture = halves(RED, BLUE).quantize(2)
    return encode(picture, "PNG", transparency=picture.getpixel((0, 0)))


def gray_with_alpha() -> bytes:
    picture = Image.merge("LA", [Image.new("L", (40, 20), 30), halves((0,) * 3, (255,) * 3).convert("L")])
    return encode(picture, "PNG")


def color_with_alpha() -> bytes:
    picture = halves(RED, BLUE).convert("RGBA")
    picture.paste((*RED, 0), (0, 0, 20, 20))
    return encode(picture, "WEBP", lossless=True, exact=True)


@pytest.mark.parametrize(
    "data, right",
    [(palette_with_transparency(), BLUE), (gray_with_alpha(), (30, 30, 30)), (color_with_alpha(), BLUE)],
    ids=["palette", "LA", "RGBA"],
)
def test_transparent_parts_are_shown_on_white(data, right):
    assert open_picture(data).mode == "RGBA"
    head = load_head(data, 40)
    assert close(head[20, 5], (255, 255, 255), 0) and close(head[20, 35], right, 2)


def test_flatten_shows_the_background_that_was_asked_for():
    clear = Image.new("RGBA", (4, 4), (*RED, 0))
    half = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    assert flatten(clear, GREEN).getpixel((1, 1)) == GREEN
    assert close(flatten(half).getpixel((1, 1)), (127, 127, 127), 1)


@pytest.mark.parametrize("size", [(16, 16), (100, 37), (1, 1), (3, 500)])
def test_fit_gives_a_square_of_uint8_rgb(size):
    head = fit(Image.new("RGB", size, RED), 32)
    assert head.shape == (32, 32, 3) and head.dtype == np.uint8
    assert (head == RED).all()


def test_fit_does_not_change_a_picture_of_the_right_size():
    np.testing.assert_array_equal(fit(noise(32), 32), np.asarray(noise(32)))


def test_an_opaque_alpha_makes_no_difference_to_fit():
    np.testing.assert_array_equal(fit(noise().convert("RGBA"), 32), fit(noise(), 32))


def test_shrinking_averages_instead_of_skipping_pixels():
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(fit(Image.fromarray(stripes), 16).astype(int) - 127).max() <= 12
