import numpy as np
import pytest
from PIL import Image

from crystal_eyes.data.contact_sheets import CELL, FOUND, GAP, LINE, MARKS, TRUE, boxes_sheet, sheet

RED, BLUE = (255, 0, 0), (0, 0, 255)


def cells(count: int, lines=("one",), mark: str = ""):
    return [(Image.new("RGB", (50, 50), RED), list(lines), mark)] * count


@pytest.mark.parametrize("count, rows", [(0, 1), (1, 1), (4, 1), (5, 2), (12, 3)])
def test_a_sheet_has_room_for_every_cell(count, rows):
    lines = 2 if count else 0
    picture = sheet(cells(count, ("one", "two")), columns=4)
    assert picture.mode == "RGB"
    assert picture.size == (4 * (CELL + GAP) + GAP, rows * (CELL + LINE * lines + GAP) + GAP)


def test_pictures_stand_in_reading_order_in_the_middle_of_their_cells():
    colours = [(10 * i, 0, 255) for i in range(1, 6)]
    picture = sheet([(Image.new("RGB", (40, 20), c), [], "") for c in colours], columns=3)
    for i, colour in enumerate(colours):
        x, y = GAP + i % 3 * (CELL + GAP) + CELL // 2, GAP + i // 3 * (CELL + GAP) + CELL // 2
        assert picture.getpixel((x, y)) == colour


@pytest.mark.parametrize("size", [(1, 1), (500, 20), (20, 500), (112, 112)])
def test_a_picture_of_any_size_stays_in_its_cell(size):
    pixels = np.asarray(sheet([(Image.new("RGB", size, RED), [], "")] * 2, columns=2)).astype(int)
    red = (pixels[..., 0] > 200) & (pixels[..., 1] < 100)
    rows, columns = np.nonzero(red)
    assert len(rows) and rows.min() >= GAP and rows.max() < GAP + CELL
    assert not red[:, GAP + CELL : GAP + CELL + GAP].any()  # between the two cells


def test_the_given_pictures_are_left_as_they_are():
    picture = Image.new("RGB", (500, 500), RED)
    sheet([(picture, [], "")], columns=1)
    assert picture.size == (500, 500)


def test_right_and_wrong_are_framed_in_colours_of_their_own():
    frames = [sheet(cells(1, mark=mark), columns=1).getpixel((GAP - 2, GAP + 20)) for mark in ("", "right", "wrong")]
    assert frames == [MARKS[""], MARKS["right"], MARKS["wrong"]] and len(set(frames)) == 3


@pytest.mark.parametrize("text", ["Rei", "初音ミク", "Ōtori Ürsula", "a" * 300, "ガ" * 300, "", " "])
def test_a_name_in_any_letters_stays_below_its_own_picture(text):
    pixels = np.asarray(sheet([(Image.new("RGB", (50, 50), BLUE), [text], ""), (Image.new("RGB", (50, 50), BLUE), [], "")], 2))
    ink = pixels[GAP + CELL :].max(axis=2) < 200
    assert ink[:, : GAP + CELL + GAP - 1].any() == bool(text.strip())
    assert not ink[:, GAP + CELL + GAP - 1 :].any()


def test_different_names_look_different():
    assert sheet(cells(1, ("Rei",)), 1).tobytes() != sheet(cells(1, ("Asuka",)), 1).tobytes()


def test_boxes_are_drawn_where_they_are_true_ones_blue_found_ones_red():
    picture = np.full((100, 200, 3), 255, np.uint8)
    drawn = np.asarray(
        boxes_sheet([(picture, np.array([[20, 10, 80, 90]]), np.array([[120, 10, 180, 90]]))], columns=1, cell=200)
    )
    for colour, left in ((TRUE, 20), (FOUND, 120)):
        rows, columns = np.nonzero((drawn == colour).all(axis=2))
        assert [columns.min(), columns.max()] == pytest.approx([left + GAP, left + 60 + GAP], abs=2)
        assert [rows.min(), rows.max()] == pytest.approx([10 + GAP, 90 + GAP], abs=2)


def test_a_sheet_without_pictures_is_blank():
    assert (np.asarray(boxes_sheet([])) == 255).all()
