import io

import numpy as np
import pytest
from PIL import Image

from crystal_eyes.images import PictureError
from crystal_eyes.recognizer import Recognizer, pictures
from crystal_eyes.recognizer.pictures import pixels
from tests.runs import draw_head


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def test_one_picture_has_the_same_pixels_however_it_is_given(tmp_path):
    values = noise(20, 30, 3)
    picture = Image.fromarray(values)
    data = png(picture)
    path = tmp_path / "a.png"
    path.write_bytes(data)
    just_written = io.BytesIO()
    picture.save(just_written, "PNG")
    with path.open("rb") as file:
        for given in (data, bytearray(data), memoryview(data), str(path), path, path.as_uri(), io.BytesIO(data), just_written,
                      file, picture, values, np.asfortranarray(values), values.copy()[:, :, ::-1][:, :, ::-1]):  # fmt: skip
            np.testing.assert_array_equal(pixels(given), values)


def test_a_file_that_can_only_be_read_once_is_read():
    class Stream(io.RawIOBase):
        def __init__(self, data: bytes):
            self.data = io.BytesIO(data)

        def read(self, size: int = -1) -> bytes:
            return self.data.read(size)

        def seekable(self) -> bool:
            return False

    values = noise(9, 9, 3)
    np.testing.assert_array_equal(pixels(Stream(png(Image.fromarray(values)))), values)


def test_gray_and_transparent_arrays():
    gray = noise(5, 7)
    np.testing.assert_array_equal(pixels(gray), np.repeat(gray[:, :, None], 3, axis=2))
    color, alpha = noise(5, 7, 3), np.zeros((5, 7, 1), np.uint8)
    assert (pixels(np.concatenate([color, alpha], axis=2)) == 255).all()  # on white
    np.testing.assert_array_equal(pixels(np.concatenate([color, alpha + 255], axis=2)), color)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (noise(4, 4, 3) / 255, "float64"),
        (noise(4, 4, 3).astype(np.int64), "int64"),
        (noise(4, 4, 3) > 9, "bool"),
        (np.array("a.png"), "array of <U5"),
        (noise(3, 4, 5), r"shape \[3, 4, 5\]"),
        (noise(2, 4, 4, 3), r"shape \[2, 4, 4, 3\]"),
        (noise(4), r"shape \[4\]"),
        (np.zeros((), np.uint8), r"shape \[\]"),
        (noise(0, 4, 3), "no pixels: 4 x 0"),
        (noise(0, 0), "no pixels: 0 x 0"),
        (np.broadcast_to(np.uint8(0), (9000, 9000)), "too large: 9000 x 9000"),
        (Image.new("RGB", (0, 0)), "no pixels: 0 x 0"),
        (Image.new("L", (0, 9)), "no pixels: 0 x 9"),
        (b"", "empty file"),
        (memoryview(b""), "empty file"),
        (io.BytesIO(), "empty file"),
        (bytearray(b"no picture"), "not a PNG"),
        ("C:\\a.png", "is a Windows path"),
        ("a\0.png", "is not a path"),
    ],
)  # fmt: skip
def test_what_is_not_usable_gets_one_clear_error(given, says):
    with pytest.raises(PictureError, match=says) as caught:
        pixels(given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", [None, 7, [1, 2], [[[0, 0, 0]]], object(), Image])
def test_what_is_no_picture_is_a_type_error_that_lists_what_is(given):
    with pytest.raises(
        TypeError, match="is not a picture: give encoded bytes, a path, an open binary file, a Pillow picture or"
    ):
        pixels(given)


def test_a_file_opened_as_text_says_how_to_open_it(tmp_path):
    with pytest.raises(TypeError, match="mode 'rb'"):
        pixels(io.StringIO("text"))


def test_a_picture_of_pillow_that_is_damaged_or_closed_is_a_picture_error(tmp_path):
    (tmp_path / "half.png").write_bytes(png(Image.fromarray(noise(64, 64, 3)))[:600])
    with pytest.raises(PictureError, match="damaged"):
        pixels(Image.open(tmp_path / "half.png"))
    (tmp_path / "whole.png").write_bytes(png(Image.fromarray(noise(64, 64, 3))))
    closed = Image.open(tmp_path / "whole.png")
    closed.close()
    with pytest.raises(PictureError, match="damaged"):
        pixels(closed)


def test_a_missing_file_and_a_folder_are_os_errors(tmp_path):
    for path in (tmp_path / "nowhere.png", tmp_path):
        with pytest.raises(OSError):
            pixels(path)


def test_an_endless_file_is_refused(monkeypatch):
    monkeypatch.setattr(pictures, "MAX_BYTES", 1000)
    with pytest.raises(PictureError, match="too large: more than"):
        pixels("/dev/zero")


def test_a_recognizer_takes_all_of_them_and_goes_on_after_a_bad_one(bundle_folder):
    recognizer = Recognizer.load(bundle_folder)
    head = draw_head(0, 0).resize((192, 192)).convert("RGB")
    data = png(head)
    many = list(recognizer.recognize_many([np.asarray(head), io.BytesIO(data), np.zeros((0, 0, 3), np.uint8), data]))
    assert str(many[2]) == "no pixels: 0 x 0"
    boxes = [[one.box for one in heads] for heads in (many[0], many[1], many[3], recognizer.recognize(np.asarray(head)))]
    assert boxes[0] and all(one == boxes[0] for one in boxes)


@pytest.mark.parametrize("one", ["a.png", b"data", Image.new("RGB", (4, 4))])
def test_a_single_picture_given_as_many_says_so(bundle_folder, one):
    with pytest.raises(TypeError, match="put it into a list"):
        next(Recognizer.load(bundle_folder).recognize_many(one))
