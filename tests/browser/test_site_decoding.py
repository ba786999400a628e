"""The site decodes pictures in the browser to the pixels that Python sees."""

import base64
import io

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, ImageDraw

from crystal_eyes.images import TURNS
from crystal_eyes.recognizer.pictures import pixels
from tests.browser.sites import build, can_build, serving_folder

pytestmark = pytest.mark.skipif(not can_build(), reason="without Node.js and npm's packages the page can't be built")


def drawn(mode: str = "RGB") -> Image.Image:
    """A picture whose corners differ, with soft edges and, in RGBA, all degrees of transparency."""
    picture = Image.linear_gradient("L").resize((90, 60)).convert("RGB")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((5, 5, 40, 20), fill=(220, 30, 60))
    draw.ellipse((50, 25, 85, 55), fill=(20, 90, 200))
    if mode == "RGBA":
        picture.putalpha(Image.linear_gradient("L").rotate(90).resize(picture.size))
    return picture.convert(mode)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def oriented(number: int, kind: str = "JPEG") -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = number
    return encoded(drawn(), kind, exif=exif, quality=95)


def with_profile() -> bytes:
    """A picture whose color profile swaps red and green: a viewer would apply it, Python does not."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"____", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"____", b"gXYZ", 1)
    return encoded(drawn(), "PNG", icc_profile=swapped)


PICTURES = {
    "png": encoded(drawn(), "PNG"),
    "png, transparent": encoded(drawn("RGBA"), "PNG"),
    "png, gray": encoded(drawn("L"), "PNG"),
    "png, gray and transparent": encoded(drawn("RGBA").convert("LA"), "PNG"),
    "png, palette": encoded(drawn("P"), "PNG"),
    "png, palette with a transparent color": encoded(drawn("P"), "PNG", transparency=3),
    "png, 1 bit": encoded(drawn("1"), "PNG"),
    "png, 16 bits": encoded(Image.fromarray(np.linspace(0, 65535, 5400).astype(np.uint16).reshape(60, 90)), "PNG"),
    "png, color profile": with_profile(),
    "jpeg, gray": encoded(drawn("L"), "JPEG"),
    "jpeg, progressive": encoded(drawn(), "JPEG", progressive=True, quality=95),
    "webp, lossless": encoded(drawn(), "WEBP", lossless=True),
    "webp, transparent": encoded(drawn("RGBA"), "WEBP", lossless=True),
    "webp, lossy": encoded(drawn(), "WEBP", quality=90),
    "gif": encoded(drawn("P"), "GIF"),
    "gif, animated": encoded(drawn("P"), "GIF", save_all=True, append_images=[drawn("P").rotate(180)]),
    "bmp": encoded(drawn(), "BMP"),
    **{f"jpeg, orientation {number}": oriented(number) for number in (1, *TURNS)},
}


@pytest.fixture(scope="module")
def decoder(browser, made_once):
    """A page with the site's decoder alone."""
    with serving_folder(made_once("site_decoder", lambda folder: build(folder, "tests/decoding"))) as (url, _):
        tab = browser.new_page()
        tab.goto(url)
        tab.wait_for_function("() => window.decodeBase64")
        yield tab
        tab.close()


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_decoded_as_in_python(decoder, name):
    expected = pixels(PICTURES[name])
    found = decoder.evaluate("data => decodeBase64(data)", base64.b64encode(PICTURES[name]).decode())
    assert isinstance(found, list), found
    width, height, data = found
    values = np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 3).astype(int)
    assert values.shape == expected.shape
    # decoders of lossy formats may round differently, and transparent colors are premultiplied in the browser
    assert np.abs(values - expected).max() <= (6 if "jpeg" in name or "lossy" in name else 2)
    assert np.abs(values - expected).mean() < 1
