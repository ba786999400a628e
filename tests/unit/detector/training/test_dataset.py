from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crystal_eyes.boxes import area, as_boxes
from crystal_eyes.detector.training.dataset import (
    LONGEST,
    drawn_heads,
    grounds,
    load,
    pictured_heads,
    read,
    scenes,
    split,
    write,
)
from crystal_eyes.detector.training.heads import Head
from crystal_eyes.detector.training.labels import Labelled
from crystal_eyes.detector.training.scenes import Sprite


def labelled(count: int) -> list[Labelled]:
    return [Labelled(Path(f"/{n}.png"), f"{n}.png", (9, 9), as_boxes([])) for n in range(count)]


def names(parts) -> dict[str, set[str]]:
    return {part: {one.file for one in some} for part, some in parts.items()}


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 10, 30, 200])
def test_every_picture_is_in_one_part(count):
    parts = split(labelled(count))
    assert sorted(one.file for some in parts.values() for one in some) == sorted(one.file for one in labelled(count))
    assert len(parts["test"]) == count // 3
    assert parts["train"] or not count
    assert count < 2 or len(parts["val"]) == max(1, (count - count // 3) // 10)


def test_the_names_alone_decide_on_the_part():
    some = labelled(90)
    again = [some[n] for n in np.random.default_rng(0).permutation(90)]
    elsewhere = [Labelled(Path("/other") / one.file, one.file, (5, 5), as_boxes([[0, 0, 1, 1]])) for one in again]
    assert names(split(some)) == names(split(again)) == names(split(elsewhere))
    renamed = [Labelled(one.path, f"x{one.file}", one.size, one.boxes) for one in some]
    assert {file[1:] for file in names(split(renamed))["test"]} != names(split(some))["test"]


def test_the_parts_are_not_runs_of_the_alphabet():
    numbers = sorted(int(one.file[:-4]) for one in split(labelled(90))["test"])
    assert numbers[0] < 15 and numbers[-1] > 75


@pytest.mark.parametrize("size", [(200, 100), (LONGEST, 10), (3000, 1000), (900, 2048)])
def test_a_large_picture_is_loaded_smaller_with_its_boxes(tmp_path, size):
    left, top, right, bottom = size[0] // 4, size[1] // 4, size[0] // 2, size[1] // 2
    picture = Image.new("RGB", size, "white")
    picture.paste("black", (left, top, right, bottom))
    picture.save(tmp_path / "a.png")
    shown, boxes = load(Labelled(tmp_path / "a.png", "a.png", size, as_boxes([[left, top, right, bottom]])))
    assert max(shown.shape[:2]) == min(max(size), LONGEST)
    rows, columns = np.nonzero(shown[..., 0] < 128)
    np.testing.assert_allclose(boxes[0], [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], atol=1)


SHAPES = [(480, 640), (31, 57), (1000, 3)]


def some_pictures():
    rng = np.random.default_rng(0)
    for number, (height, width) in enumerate(SHAPES):
        picture = np.full((height, width, 3), rng.integers(0, 256, 3), np.uint8)
        corners = np.sort(rng.uniform(0, 1, (4, 2, 2)), axis=1).reshape(-1, 4)
        yield f"p-{number}", picture, as_boxes(corners * [width, height, width, height])
    yield "nobody", np.zeros((50, 50, 3), np.uint8), as_boxes([])


def test_pictures_are_read_as_they_were_written(tmp_path):
    assert write(tmp_path, "train", some_pictures()) == 4
    for (name, picture, boxes), (expected, before, truth) in zip(read(tmp_path, "train"), some_pictures(), strict=True):
        assert name == expected and picture.shape == before.shape and boxes.dtype == np.float32
        assert np.abs(picture.astype(int) - before).max() <= 6  # JPEG; the bands in their order
        assert boxes.shape == truth.shape
        np.testing.assert_allclose(boxes, truth, atol=0.01)


def test_the_layout_is_yolos(tmp_path):
    write(tmp_path, "val", [("a", np.zeros((50, 100, 3), np.uint8), as_boxes([[10, 5, 30, 25]]))])
    assert (tmp_path / "labels/val/a.txt").read_text().split() == "0 0.200000 0.300000 0.200000 0.400000".split()
    (line,) = (tmp_path / "val.txt").read_text().split()
    assert (tmp_path / line).samefile(tmp_path / "images/val/a.jpg")


def test_repeated_pictures_are_listed_again_and_read_once(tmp_path):
    assert write(tmp_path, "train", some_pictures(), lambda name: 3 if name == "p-1" else 1) == 4
    stems = [Path(line).stem for line in (tmp_path / "train.txt").read_text().split()]
    assert sorted(stems) == ["nobody", "p-0", "p-1", "p-1", "p-1", "p-2"]
    assert [name for name, _, _ in read(tmp_path, "train")] == ["p-0", "p-1", "p-2", "nobody"]
    assert [name for name, _, _ in read(tmp_path, "train", step=2)] == ["p-0", "p-2"]


def test_a_part_is_listed_only_when_all_its_pictures_are_there(tmp_path):
    def broken():
        yield from some_pictures()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, "train", broken())
    assert not (tmp_path / "train.txt").exists()


def test_a_part_without_pictures_is_an_empty_one(tmp_path):
    assert write(tmp_path, "test", []) == 0 and list(read(tmp_path, "test")) == []


def a_page() -> tuple[np.ndarray, np.ndarray]:
    """Black, its heads white."""
    picture = np.zeros((200, 300, 3), np.uint8)
    boxes = as_boxes([[20, 20, 60, 70], [140, 80, 200, 150], [250, 120, 300, 200]])
    for left, top, right, bottom in boxes.astype(int):
        picture[top:bottom, left:right] = 255
    return picture, boxes


def test_a_ground_is_a_part_of_a_picture_with_its_boxes():
    page, boxes = a_page()
    before, shapes, counts = page.copy(), set(), set()
    ground = grounds([(page, boxes)])
    for seed in range(80):
        part, inside = ground(np.random.default_rng(seed))
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


def test_the_seed_decides_on_the_ground():
    ground = grounds([a_page(), (np.full((90, 90, 3), 7, np.uint8), as_boxes([]))])
    first, again = (ground(np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert {len(np.unique(ground(np.random.default_rng(seed))[0])) for seed in range(20)} > {1}  # both pictures are drawn


def a_head(shade: int) -> Sprite:
    return Sprite(np.full((40, 40, 4), (shade, shade, shade, 255), np.uint8), (0, 0, 40, 40))


def test_the_first_scenes_are_the_same_whatever_the_count():
    few, more = (list(scenes(count, "scene", [1, 2], lambda rng: a_head(9))) for count in (2, 4))
    assert [name for name, _, _ in more] == [f"scene-0000{n}" for n in range(4)]
    for (_, picture, boxes), (_, same, as_well) in zip(few, more):
        np.testing.assert_array_equal(picture, same)
        np.testing.assert_array_equal(boxes, as_well)
    (_, other, _), *_ = scenes(1, "scene", [1, 3], lambda rng: a_head(9))
    assert other.shape != few[0][1].shape or (other != few[0][1]).any()


def test_given_heads_are_mixed_with_drawn_ones(tmp_path):
    paths = [tmp_path / f"{shade}.png" for shade in (100, 200)]
    for path in paths:
        Image.new("RGB", (30, 30), (int(path.stem),) * 3).save(path)
    take = pictured_heads([Head(path, (0, 0, 30, 30)) for path in paths], lambda rng: a_head(50))
    shades = [int(take(np.random.default_rng(seed)).picture[0, 0, 0]) for seed in range(200)]
    assert set(shades) == {50, 100, 200} and 0.15 < np.mean(np.array(shades) == 50) < 0.35


def test_drawn_heads_come_from_the_seed_and_differ():
    take, again, other = (drawn_heads(seed, characters=6) for seed in (1, 1, 0))
    first, same, else_, next_ = take(np.random.default_rng(0)), again(np.random.default_rng(0)), *(
        t(np.random.default_rng(n)) for t, n in ((other, 0), (take, 1)))  # fmt: skip
    np.testing.assert_array_equal(first.picture, same.picture)
    assert first.box == same.box and first.picture.shape[2] == 4
    for sprite in (else_, next_):
        assert sprite.picture.shape != first.picture.shape or (sprite.picture != first.picture).any()


def test_a_ground_may_be_narrow():
    ground = grounds([(np.zeros((200, 20, 3), np.uint8), as_boxes([[2, 2, 18, 18]]))])
    assert {ground(np.random.default_rng(seed))[0].shape[1] for seed in range(20)} == {20}


def test_parts_of_the_cast_share_no_character():
    from crystal_eyes.data import cast

    people = cast.make_cast(90, seed=0)
    parts = [{one.traits for place, one in enumerate(people) if place // cast.FAMILY % 3 == part} for part in range(3)]
    assert [len(part) for part in parts] == [30, 30, 30] and len(set.union(*parts)) == 90
