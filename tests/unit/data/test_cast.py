import csv
import random
import shutil

import numpy as np
import pytest
from PIL import Image

from crystal_eyes.data.cast import (
    COLUMNS,
    FAMILY,
    MAX_CHARACTERS,
    credits,
    draw,
    draw_picture,
    make_cast,
    upright_head,
)
from crystal_eyes.data.options import CastOptions
from crystal_eyes.errors import UserError

SIZE = CastOptions(characters=4, pictures=22)
SEED = 3


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("cast") / "a", SIZE, SEED, workers=1)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def manifest(folder):
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_number_of_workers_does_not_change_a_byte(drawn, tmp_path):
    assert contents(draw(tmp_path / "b", SIZE, SEED, workers=2)) == contents(drawn)


def test_another_seed_is_another_cast():
    assert [c.traits for c in make_cast(30, 1)] != [c.traits for c in make_cast(30, 2)]


def test_an_interrupted_drawing_is_resumed(drawn, tmp_path):
    folder = tmp_path / "c"
    shutil.copytree(drawn, folder)
    lost, *kept = sorted(path for path in folder.iterdir() if path.is_dir())
    (folder / "manifest.csv").unlink()
    shutil.rmtree(lost)
    (folder / f"{lost.name}.part").mkdir()
    (folder / f"{lost.name}.part" / "0000.jpg").write_bytes(b"half a picture")
    before = {path: path.stat().st_mtime_ns for home in kept for path in home.iterdir()}
    draw(folder, SIZE, SEED, workers=1)
    assert contents(folder) == contents(drawn)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_complete_folder_is_not_drawn_again(drawn):
    before = {path: path.stat().st_mtime_ns for path in drawn.rglob("*")}
    assert draw(drawn, SIZE, SEED) == drawn
    assert {path: path.stat().st_mtime_ns for path in drawn.rglob("*")} == before


def test_the_manifest_agrees_with_the_files(drawn):
    rows = manifest(drawn)
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == SIZE.characters * SIZE.pictures
    assert len({row["character"] for row in rows}) == SIZE.characters
    assert {row["file"] for row in rows} == {f for f in contents(drawn) if "/" in f}
    for row in rows:
        assert row["file"].isascii()
        with Image.open(drawn / row["file"]) as image:
            assert image.size == (int(row["width"]), int(row["height"])) and min(image.size) > 128
            assert ("A" in image.getbands()) == (row["alpha"] == "1")
            red, green, blue = np.moveaxis(np.asarray(image.convert("RGB")), 2, 0)
            assert ((red == green).all() and (green == blue).all()) == (row["monochrome"] == "1")


def test_some_pictures_are_monochrome_and_some_share_a_drawing(drawn):
    rows = manifest(drawn)
    assert 0.02 < np.mean([row["monochrome"] == "1" for row in rows]) < 0.4
    shared = [row["artwork"] for row in rows if row["artwork"]]
    assert len(shared) == 2 * len(set(shared)) == 2 * SIZE.characters


def test_look_alikes_differ_in_one_trait_and_to_the_eye():
    people = make_cast(30, 5)
    for start in range(0, 30, FAMILY):
        base, recolored, other = people[start : start + FAMILY]
        assert base.hair != recolored.hair and base.traits != other.traits
        for person in (recolored, other):
            changed = sum(a != b for a, b in zip(base.parts, person.parts, strict=True))
            changed += sum(getattr(base, name) != getattr(person, name) for name in ("hair", "skin", "eyes"))
            assert changed == 1 and person.series == base.series and person.name != base.name
    # the same random numbers for both: whatever differs between the two pictures is the one trait
    first, second = (np.asarray(draw_picture(p, random.Random(1), random.Random(1)).convert("RGB")) for p in people[:2])
    assert (first != second).any()


def test_a_large_cast_has_distinct_characters_and_begins_with_the_small_one():
    people = make_cast(MAX_CHARACTERS, 0)
    assert len({p.traits for p in people}) == len({p.name for p in people}) == len({p.folder for p in people}) == MAX_CHARACTERS
    assert make_cast(40, 0) == people[:40]
    assert any(not p.name.isascii() for p in people)


@pytest.mark.parametrize(("style", "colorless"), [("adventurer", True), ("lorelei", True), ("big-ears", False)])
def test_line_art_has_no_color_where_the_style_has_outlines(style, colorless):
    person = next(person for person in make_cast(30, 2) if person.style == style)
    pixels = np.asarray(upright_head(person, random.Random(0), 96, line_art=True)[0].convert("RGB"), int)
    assert (np.ptp(pixels, axis=2).max() == 0) == colorless


def test_the_box_of_an_upright_head_lies_in_the_picture_and_its_edges_touch_the_head():
    for number, person in enumerate(make_cast(60, 2)):
        head, (left, top, right, bottom) = upright_head(person, random.Random(number), 96, line_art=number % 4 == 0)
        assert head.mode == "RGBA" and head.getchannel("A").getbbox() == (0, 0, *head.size)
        assert 0 <= left < right <= head.width and 0 <= top < bottom <= head.height
        shown = np.asarray(head)[top:bottom, left:right, 3] > 127
        assert min(shown[:, 0].mean(), shown[:, -1].mean(), shown[0].mean()) > 0.2 and shown.mean() > 0.6


@pytest.mark.parametrize("style", ["lorelei", "adventurer", "big-ears"])
def test_the_box_of_an_upright_head_ends_above_the_neck(style):
    for person in [person for person in make_cast(60, 2) if person.style == style][::3]:
        head, (left, _, right, bottom) = upright_head(person, random.Random(0), 96)
        below = (np.asarray(head)[bottom:, :, 3] > 127).sum(axis=1)
        if style == "lorelei":  # the one style with a neck
            assert len(below) > 0.15 * head.height and np.median(below) < 0.8 * (right - left)
        else:
            assert bottom > 0.6 * head.height


def test_an_upright_head_is_the_same_again_and_of_its_size():
    person = make_cast(30, 2)[4]
    (first, box), (again, same), (large, larger) = (upright_head(person, random.Random(3), size) for size in (96, 96, 192))
    assert first.tobytes() == again.tobytes() and box == same
    np.testing.assert_allclose(larger, 2 * np.array(box), atol=3)
    assert 90 <= max(first.size) <= 100 and 180 <= max(large.size) <= 200


@pytest.mark.parametrize("wrong", [{"characters": 1}, {"characters": MAX_CHARACTERS + 1}, {"pictures": 0}, {"workers": 0}])
def test_counts_out_of_range_are_a_user_error(tmp_path, wrong):
    with pytest.raises(UserError):
        draw(tmp_path, CastOptions(wrong.get("characters", 4), wrong.get("pictures", 22)), SEED, wrong.get("workers", 1))
    assert not list(tmp_path.iterdir())


def test_a_folder_of_another_cast_is_refused(drawn):
    with pytest.raises(UserError, match="other parameters"):
        draw(drawn, SIZE, seed=4)


def test_every_style_is_credited_with_a_license_that_permits_its_use():
    rows = credits()
    assert {row[0] for row in rows} == {person.style for person in make_cast(60, 0)}
    assert all(all(row) and row[3] in ("CC BY 4.0", "CC0 1.0") for row in rows)
