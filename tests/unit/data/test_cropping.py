import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crystal_eyes.boxes import FACE_MARGINS
from crystal_eyes.data.cropping import LabeledBox, crop_head, head_bytes
from crystal_eyes.data.layouts import read_dataset
from crystal_eyes.images import PictureError
from crystal_eyes.recognizer.finding import find_heads

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def naive(picture, left, top, side):
    out = np.zeros((side, side, 3), np.uint8)
    for y in range(side):
        for x in range(side):
            out[y, x] = picture[min(max(top + y, 0), len(picture) - 1), min(max(left + x, 0), picture.shape[1] - 1)]
    return out


@settings(deadline=None)
@given(st.floats(0, 59), st.floats(0, 39), st.floats(1, 60), st.floats(1, 60))
def test_a_head_is_cut_as_a_square_around_its_center_and_edges_are_repeated(left, top, width, height):
    right, bottom = min(left + width, 60), min(top + height, 40)
    cut = crop_head(PICTURE, np.array([left, top, right, bottom]))
    side = len(cut)
    assert cut.shape == (side, side, 3) and cut.dtype == np.uint8
    assert abs(side - 1.2 * max(right - left, bottom - top)) <= 0.5 + 1e-6
    x, y = (left + right - side) / 2, (top + bottom - side) / 2
    corners = [(a, b) for a in {int(np.floor(x)), int(np.ceil(x))} for b in {int(np.floor(y)), int(np.ceil(y))}]
    nearest = [(a, b) for a, b in corners if abs(a - x) <= 0.5 + 1e-6 and abs(b - y) <= 0.5 + 1e-6]
    assert any((cut == naive(PICTURE, a, b, side)).all() for a, b in nearest)


def test_a_head_in_the_middle_is_cut_with_a_tenth_of_margin_on_each_side():
    np.testing.assert_array_equal(crop_head(PICTURE, np.array([20, 10, 40, 30])), PICTURE[8:32, 18:42])
    np.testing.assert_array_equal(crop_head(PICTURE, np.array([20, 15, 40, 25])), PICTURE[8:32, 18:42])


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1)])
def test_a_box_that_is_the_whole_picture_repeats_its_edges(size):
    picture = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    cut, side = crop_head(picture, np.array([0, 0, size[1], size[0]])), round(1.2 * max(size))
    np.testing.assert_array_equal(cut, naive(picture, round((size[1] - side) / 2), round((size[0] - side) / 2), side))


def test_the_crop_is_a_copy_or_leaves_the_picture_alone():
    picture = PICTURE.copy()
    crop_head(picture, np.array([20, 10, 40, 30]))[...] = 0
    np.testing.assert_array_equal(picture, PICTURE)


def test_boxes_of_less_than_a_pixel_are_one_pixel():
    for x in (0.1, 30.4, 59.2):
        assert (crop_head(PICTURE, np.array([x, 39.2, x + 0.5, 39.7])) == PICTURE[39, int(x)]).all()


class DetectorOf:
    """Finds the one box that it is given."""

    def __init__(self, box: tuple[float, float, float, float]):
        self.box = np.array([box], np.float32)

    confidence = 0.5

    def detect(self, picture: np.ndarray, confidence: float | None = None) -> tuple[np.ndarray, np.ndarray]:
        return self.box, np.ones(1, np.float32)

    def confidence_of(self, output: float) -> float:
        return output


BOX = (3.5, 10.25, 19.0, 31.0)
WIDTH, HEIGHT = 60, 40


def as_datasets(folder: Path) -> dict[str, Path]:
    """Datasets of the same head in PICTURE, by what their boxes are."""
    Image.fromarray(PICTURE).save(folder / "1.png")
    left, top, right, bottom = BOX
    # the face that grows to BOX: a head's sides are 1.5 and 1.65 times its face's
    face_width, face_height = (right - left) / 1.5, (bottom - top) / 1.65
    face_left, face_top = left + FACE_MARGINS[0] * face_width, top + FACE_MARGINS[1] * face_height
    face = face_left, face_top, face_left + face_width, face_top + face_height
    sides = (WIDTH, HEIGHT, WIDTH, HEIGHT)
    rows = {
        "pixels": (BOX, "", ""),
        "pixels, said": (BOX, "pixels", "head"),
        "fractions": ([v / side for v, side in zip(BOX, sides)], "fraction", ""),
        "face": (face, "", "face"),
        "face in fractions": ([v / side for v, side in zip(face, sides)], "fraction", "face"),
    }
    paths = {}
    for name, (box, unit, kind) in rows.items():
        paths[name] = folder / f"{name}.csv"
        cells = ",".join(str(v) for v in box)
        paths[name].write_text(f"file,character,left,top,right,bottom,box_unit,box_kind\n1.png,a,{cells},{unit},{kind}\n")
    danbooru = folder / "danbooru"
    danbooru.mkdir()
    Image.fromarray(PICTURE).save(danbooru / "1.png")
    (danbooru / "faces.tsv").write_text(f"1.png\t7\t{','.join(str(v) for v in BOX)},0.99\n")
    (danbooru / "tagIds.tsv").write_text("a\t7\n")
    return paths | {"Danbooru 2018": danbooru}


def test_a_head_that_a_dataset_names_is_cut_as_one_that_the_recognizer_finds(tmp_path):
    (found,) = find_heads(DetectorOf(BOX), PICTURE)
    assert not found.whole_picture
    buffer = io.BytesIO()
    Image.fromarray(found.picture).save(buffer, "PNG")
    for name, path in as_datasets(tmp_path).items():
        table, left_out = read_dataset(path, 0.85)
        assert len(table) == 1 and not left_out
        assert head_bytes(table["path"][0], table["box"][0]) == buffer.getvalue(), name


def test_a_transparent_picture_is_cut_as_the_recognizer_sees_it_on_white(tmp_path):
    clear = Image.fromarray(PICTURE).convert("RGBA")
    clear.putalpha(0)
    clear.save(tmp_path / "x.png")
    head = np.asarray(Image.open(io.BytesIO(head_bytes(tmp_path / "x.png", LabeledBox(*BOX)))))
    assert head.shape[2] == 3 and (head == 255).all()


def test_a_head_without_a_box_is_the_file_as_it_is(tmp_path):
    (tmp_path / "x.png").write_bytes(b"any bytes")
    assert head_bytes(tmp_path / "x.png", None) == b"any bytes"


@pytest.mark.parametrize("kind", ["head", "face"])
@pytest.mark.parametrize("box", [(70, 0, 90, 30), (5, 5, 6, 38), (30, 30, 10, 10), (-20, 0, 1, 30), (0, -9, 30, 0)])
def test_a_box_that_is_empty_or_outside_the_picture_is_refused(box, kind):
    with pytest.raises(PictureError, match="empty or lies outside the 60 x 40 picture"):
        LabeledBox(*box, kind=kind).head(WIDTH, HEIGHT)


def test_a_box_is_clipped_to_the_picture_as_the_detectors_are():
    np.testing.assert_array_equal(LabeledBox(-10.5, 20.25, 30.5, 999).head(WIDTH, HEIGHT), [0, 20.25, 30.5, 40])
    np.testing.assert_array_equal(LabeledBox(0.25, -0.5, 0.5, 0.5, unit="fraction").head(WIDTH, HEIGHT), [15, 0, 30, 20])


def test_the_head_of_a_face_reaches_beyond_it():
    face = (20, 20, 30, 30)
    left, top, right, bottom = (20 - 2.5, 20 - 5.5, 30 + 2.5, 30 + 1)
    np.testing.assert_allclose(LabeledBox(*face, kind="face").head(WIDTH, HEIGHT), [left, top, right, bottom], rtol=1e-6)
