import numpy as np
import pytest
from PIL import Image

from pipeline.contact_sheets import CELL, FOUND_COLOR, GAP, LINE, MARK_COLORS, TRUE_COLOR, contact_sheet, contact_sheet_of_boxes

RED, BLUE = (255, 0, 0), (0, 0, 255)


def cells(count: int, lines=("one",), mark: str = ""):
    return [(Image.new("RGB", (50, 50), RED), list(lines), mark)] * count


@pytest.mark.parametrize("count, rows", [(0, 1), (1, 1), (4, 1), (5, 2), (12, 3)])
def test_a_sheet_has_room_for_every_cell(count, rows):
    lines = 2 if count else 0
    picture = contact_sheet(cells(count, ("one", "two")), columns=4)
    assert picture.mode == "RGB"
    assert picture.size == (4 * (CELL + GAP) + GAP, rows * (CELL + LINE * lines + GAP) + GAP)


def test_pictures_are_in_reading_order_in_the_center_of_their_cells():
    colors = [(10 * i, 0, 255) for i in range(1, 6)]
    picture = contact_sheet([(Image.new("RGB", (40, 20), c), [], "") for c in colors], columns=3)
    for i, color in enumerate(colors):
        x, y = GAP + i % 3 * (CELL + GAP) + CELL // 2, GAP + i // 3 * (CELL + GAP) + CELL // 2
        assert picture.getpixel((x, y)) == color


@pytest.mark.parametrize("size", [(1, 1), (500, 20), (20, 500), (112, 112)])
def test_a_picture_of_any_size_stays_in_its_cell(size):
    pixels = np.asarray(contact_sheet([(Image.new("RGB", size, RED), [], "")] * 2, columns=2)).astype(int)
    red = (pixels[..., 0] > 200) & (pixels[..., 1] < 100)
    rows, columns = np.nonzero(red)
    assert len(rows) and rows.min() >= GAP and rows.max() < GAP + CELL
    assert not red[:, GAP + CELL : GAP + CELL + GAP].any()  # between the two cells


def test_the_given_pictures_are_not_changed():
    picture = Image.new("RGB", (500, 500), RED)
    contact_sheet([(picture, [], "")], columns=1)
    assert picture.size == (500, 500)


def test_right_and_wrong_have_frames_of_different_colors():
    frames = [contact_sheet(cells(1, mark=mark), columns=1).getpixel((GAP - 2, GAP + 20)) for mark in ("", "right", "wrong")]
    assert frames == [MARK_COLORS[""], MARK_COLORS["right"], MARK_COLORS["wrong"]] and len(set(frames)) == 3


@pytest.mark.parametrize("text", ["Rei", "初音ミク", "Ōtori Ürsula", "a" * 300, "ガ" * 300, "", " "])
def test_a_name_in_any_script_stays_below_its_own_picture(text):
    pixels = np.asarray(
        contact_sheet([(Image.new("RGB", (50, 50), BLUE), [text], ""), (Image.new("RGB", (50, 50), BLUE), [], "")], 2)
    )
    ink = pixels[GAP + CELL :].max(axis=2) < 200
    assert ink[:, : GAP + CELL + GAP - 1].any() == bool(text.strip())
    assert not ink[:, GAP + CELL + GAP - 1 :].any()


def test_different_names_look_different():
    assert contact_sheet(cells(1, ("Rei",)), 1).tobytes() != contact_sheet(cells(1, ("Asuka",)), 1).tobytes()


def test_boxes_are_drawn_where_they_are_true_ones_blue_found_ones_red():
    picture = np.full((100, 200, 3), 255, np.uint8)
    drawn = np.asarray(
        contact_sheet_of_boxes([(picture, np.array([[20, 10, 80, 90]]), np.array([[120, 10, 180, 90]]))], columns=1, cell=200)
    )
    for color, left in ((TRUE_COLOR, 20), (FOUND_COLOR, 120)):
        rows, columns = np.nonzero((drawn == color).all(axis=2))
        assert [columns.min(), columns.max()] == pytest.approx([left + GAP, left + 60 + GAP], abs=2)
        assert [rows.min(), rows.max()] == pytest.approx([10 + GAP, 90 + GAP], abs=2)


def test_a_sheet_without_pictures_is_blank():
    assert (np.asarray(contact_sheet_of_boxes([])) == 255).all()
