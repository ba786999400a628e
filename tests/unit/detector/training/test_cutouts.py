import numpy as np
import pytest
from PIL import Image

from crystal_eyes.boxes import as_boxes, iou
from crystal_eyes.data import cast
from crystal_eyes.detector.training.canvas import Cutout, Scene
from crystal_eyes.detector.training.cutouts import HeadPicture, cast_cutouts, mixed_cutouts, read_head_pictures
from crystal_eyes.errors import UserError
from tests.runs import HEAD_DETECTOR


def cut_out(size, box) -> Image.Image:
    picture = Image.new("RGBA", size)
    picture.paste((200, 30, 30, 255), box)
    return picture


def test_a_head_is_the_whole_picture_or_what_is_not_transparent(tmp_path):
    (tmp_path / "sub").mkdir()
    Image.new("RGB", (40, 30), "red").save(tmp_path / "plain.jpg")
    cut_out((50, 60), (5, 10, 45, 50)).save(tmp_path / "sub/cut.png")
    cut_out((20, 20), (0, 0, 20, 20)).convert("P").save(tmp_path / "a.gif")
    heads, left_out = read_head_pictures(tmp_path, None)
    assert [head.path.name for head in heads] == ["a.gif", "plain.jpg", "cut.png"] and not left_out
    assert [tuple(head.box) for head in heads] == [(0, 0, 20, 20), (0, 0, 40, 30), (5, 10, 45, 50)]


def test_a_cutout_is_the_upright_picture_with_transparency(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30), "red").save(tmp_path / "turned.png", exif=exif)
    cut_out((50, 60), (5, 10, 45, 50)).save(tmp_path / "cut.webp", lossless=True)
    cut, turned = (head.cutout() for head in read_head_pictures(tmp_path, None)[0])
    assert turned.picture.shape == (40, 30, 4) and tuple(turned.box) == (0, 0, 30, 40) and (turned.picture[..., 3] == 255).all()
    left, top, right, bottom = cut.box
    assert cut.picture.dtype == np.uint8 and (cut.picture[top:bottom, left:right, 3] == 255).all()
    assert (cut.picture[..., 3] > 0).sum() == 40 * 40


def test_pictures_without_a_head_are_named(tmp_path):
    Image.new("RGB", (40, 30)).save(tmp_path / "good.png")
    Image.new("RGBA", (40, 30)).save(tmp_path / "nothing.png")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/broken.jpg").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "empty.png").touch()
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "notes.txt").write_text("no picture")
    heads, left_out = read_head_pictures(tmp_path, None)
    assert [head.path.name for head in heads] == ["good.png"]
    assert [file for file, _ in left_out] == ["empty.png", "gone.png", "nothing.png", "sub/broken.jpg"]
    assert dict(left_out)["empty.png"] == "empty file" and "head" in dict(left_out)["nothing.png"]


@pytest.mark.parametrize("file", [None, "broken.png"])
def test_a_folder_without_one_head_is_refused(tmp_path, file):
    if file:
        (tmp_path / file).write_bytes(b"no picture")
    with pytest.raises(UserError, match="no usable picture") as caught:
        read_head_pictures(tmp_path, None)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_a_folder_named_like_a_picture_is_ignored(tmp_path):
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    (tmp_path / "b.png").mkdir()
    assert len(read_head_pictures(tmp_path, None)[0]) == 1


def test_a_labeler_says_where_the_head_is_and_leaves_out_pictures_without_one(tmp_path):
    scene = Scene(np.full((200, 160, 3), 230, np.uint8))
    scene.paste(cast_cutouts(2, characters=3)(np.random.default_rng(4)), (80, 110), 100, 0, False)
    Image.fromarray(scene.picture).save(tmp_path / "head.png")
    Image.new("RGB", (160, 160), (200, 180, 90)).save(tmp_path / "nobody.png")
    heads, left_out = read_head_pictures(tmp_path, HEAD_DETECTOR)
    assert [head.path.name for head in heads] == ["head.png"] and [file for file, _ in left_out] == ["nobody.png"]
    assert iou(as_boxes([heads[0].box]), scene.visible_boxes())[0, 0] > 0.75


def a_head(shade: int) -> Cutout:
    return Cutout(np.full((40, 40, 4), (shade, shade, shade, 255), np.uint8), (0, 0, 40, 40))


def test_head_pictures_are_mixed_with_another_source(tmp_path):
    paths = [tmp_path / f"{shade}.png" for shade in (100, 200)]
    for path in paths:
        Image.new("RGB", (30, 30), (int(path.stem),) * 3).save(path)
    draw = mixed_cutouts([HeadPicture(path, (0, 0, 30, 30)) for path in paths], lambda rng: a_head(50))
    shades = [int(draw(np.random.default_rng(seed)).picture[0, 0, 0]) for seed in range(200)]
    assert set(shades) == {50, 100, 200} and 0.15 < np.mean(np.array(shades) == 50) < 0.35


def test_cast_cutouts_differ_by_part_and_by_seed_alone():
    draw, again, other = (cast_cutouts(seed, characters=6) for seed in (1, 1, 0))
    first, same, else_, next_ = draw(np.random.default_rng(0)), again(np.random.default_rng(0)), *(
        t(np.random.default_rng(n)) for t, n in ((other, 0), (draw, 1)))  # fmt: skip
    np.testing.assert_array_equal(first.picture, same.picture)
    assert first.box == same.box and first.picture.shape[2] == 4
    for cutout in (else_, next_):
        assert cutout.picture.shape != first.picture.shape or (cutout.picture != first.picture).any()


def test_parts_of_the_cast_share_no_character():
    people = cast.make_cast(90, seed=0)
    parts = [{one.traits for place, one in enumerate(people) if place // cast.FAMILY % 3 == part} for part in range(3)]
    assert [len(part) for part in parts] == [30, 30, 30] and len(set.union(*parts)) == 90
