from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crystal_eyes.boxes import area, as_boxes
from crystal_eyes.detector.training.annotated_pictures import MAX_SIDE, AnnotatedPicture, LazyPictures, backgrounds, load, split


def labeled(count: int) -> list[AnnotatedPicture]:
    return [AnnotatedPicture(Path(f"/{n}.png"), f"{n}.png", (9, 9), as_boxes([])) for n in range(count)]


def names(parts) -> dict[str, set[str]]:
    return {part: {one.file for one in some} for part, some in parts.items()}


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 10, 30, 200])
def test_every_picture_is_in_one_part(count):
    parts = split(labeled(count))
    assert sorted(one.file for some in parts.values() for one in some) == sorted(one.file for one in labeled(count))
    assert len(parts["test"]) == count // 3
    assert parts["train"] or not count
    assert count < 2 or len(parts["val"]) == max(1, (count - count // 3) // 10)


def test_the_part_depends_on_the_name_alone():
    some = labeled(90)
    again = [some[n] for n in np.random.default_rng(0).permutation(90)]
    elsewhere = [AnnotatedPicture(Path("/other") / one.file, one.file, (5, 5), as_boxes([[0, 0, 1, 1]])) for one in again]
    assert names(split(some)) == names(split(again)) == names(split(elsewhere))
    renamed = [AnnotatedPicture(one.path, f"x{one.file}", one.size, one.boxes) for one in some]
    assert {file[1:] for file in names(split(renamed))["test"]} != names(split(some))["test"]


def test_a_drawing_and_its_lines_are_in_one_part():
    drawings = [f"{n:04d}" for n in range(30)]
    files = [f"{name}_{kind}.webp" for kind in ("line", "colour", "color") for name in drawings]
    parts = names(split([AnnotatedPicture(Path(file), file, (9, 9), as_boxes([])) for file in files]))
    for some in parts.values():
        assert len(some) == 3 * len({file[:4] for file in some})
    assert len(parts["test"]) == 30


def test_the_parts_are_not_consecutive_in_the_alphabet():
    numbers = sorted(int(one.file[:-4]) for one in split(labeled(90))["test"])
    assert numbers[0] < 15 and numbers[-1] > 75


@pytest.mark.parametrize("size", [(200, 100), (MAX_SIDE, 10), (3000, 1000), (900, 2048)])
def test_a_large_picture_is_loaded_smaller_with_its_boxes(tmp_path, size):
    left, top, right, bottom = size[0] // 4, size[1] // 4, size[0] // 2, size[1] // 2
    picture = Image.new("RGB", size, "white")
    picture.paste("black", (left, top, right, bottom))
    picture.save(tmp_path / "a.png")
    shown, boxes = load(AnnotatedPicture(tmp_path / "a.png", "a.png", size, as_boxes([[left, top, right, bottom]])))
    assert max(shown.shape[:2]) == min(max(size), MAX_SIDE)
    rows, columns = np.nonzero(shown[..., 0] < 128)
    np.testing.assert_allclose(boxes[0], [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], atol=1)


def test_lazy_pictures_are_loaded_on_each_access(tmp_path):
    Image.new("RGB", (40, 30), "red").save(tmp_path / "a.png")
    boxes = as_boxes([[1, 2, 3, 4]])
    pictures = LazyPictures([AnnotatedPicture(tmp_path / name, name, (40, 30), boxes) for name in ("a.png", "missing.png")])
    assert len(pictures) == 2
    pixels, loaded_boxes = pictures[0]
    assert pixels.shape == (30, 40, 3) and (pixels == (255, 0, 0)).all()
    np.testing.assert_array_equal(loaded_boxes, boxes)
    with pytest.raises(FileNotFoundError):
        pictures[1]


def a_page() -> tuple[np.ndarray, np.ndarray]:
    """A black picture, its heads white, and their boxes."""
    picture = np.zeros((200, 300, 3), np.uint8)
    boxes = as_boxes([[20, 20, 60, 70], [140, 80, 200, 150], [250, 120, 300, 200]])
    for left, top, right, bottom in boxes.astype(int):
        picture[top:bottom, left:right] = 255
    return picture, boxes


def test_a_background_is_a_part_of_a_picture_with_its_boxes():
    page, boxes = a_page()
    before, shapes, counts = page.copy(), set(), set()
    draw_background = backgrounds([(page, boxes)])
    for seed in range(80):
        part, inside = draw_background(np.random.default_rng(seed))
        height, width = part.shape[:2]
        assert 100 <= height <= 200 and 150 <= width <= 300
        assert inside.dtype == np.float32 and (inside >= 0).all() and (inside <= [width, height] * 2).all()
        for left, top, right, bottom in inside.astype(int):
            assert (part[top:bottom, left:right] == 255).all()
            part[top:bottom, left:right] = 0
        assert not (part == 255).all(axis=2).any()  # no head without a box is left
        # a kept head shows more than half of itself
        assert all(one > 0.5 * area(boxes).min() for one in area(inside))
        shapes.add(part.shape)
        counts.add(len(inside))
    assert len(shapes) > 60 and len(counts) >= 3
    np.testing.assert_array_equal(page, before)


def test_the_seed_decides_on_the_background():
    draw_background = backgrounds([a_page(), (np.full((90, 90, 3), 7, np.uint8), as_boxes([]))])
    first, again = (draw_background(np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert {len(np.unique(draw_background(np.random.default_rng(seed))[0])) for seed in range(20)} > {
        1
    }  # both pictures are drawn


def test_a_background_may_be_narrow():
    draw_background = backgrounds([(np.zeros((200, 20, 3), np.uint8), as_boxes([[2, 2, 18, 18]]))])
    assert {draw_background(np.random.default_rng(seed))[0].shape[1] for seed in range(20)} == {20}
