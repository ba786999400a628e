import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw, ImageOps

from crystal_eyes.data.cropping import LabeledBox
from crystal_eyes.data.layouts import COLUMNS
from crystal_eyes.data.options import SelectionOptions
from crystal_eyes.data.selection import SAME_PICTURE, select
from crystal_eyes.data.stable_number import stable_number

OPTIONS = SelectionOptions(min_pictures=1)


def blotches(seed: int, side: int = 64, cells: int = 9) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (cells, cells, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)


def a_table(folder: Path, pictures: dict[str, Image.Image | bytes], **columns) -> pd.DataFrame:
    """A dataset's table of pictures named "CHARACTER/FILE", written to the folder."""
    rows = []
    for name, picture in pictures.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture) if isinstance(picture, bytes) else picture.save(path)
        rows.append((str(path), name, name.split("/")[0], "", "", "", None, "", None, ""))
    return pd.DataFrame(rows, columns=COLUMNS).assign(**columns)


def files(selected) -> list[str]:
    return selected[0]["file"].tolist()


def test_a_readable_picture_gets_its_size_and_whether_it_has_color(tmp_path):
    pictures = {"a/1.png": blotches(1, 64), "a/2.png": ImageOps.grayscale(blotches(2, 40)), "a/3.png": blotches(3)}
    table, dropped = select(a_table(tmp_path, pictures, monochrome=[None, None, True]), OPTIONS, 0)
    assert table[["width", "height", "monochrome"]].to_numpy().tolist() == [[64, 64, False], [40, 40, True], [64, 64, True]]
    assert not dropped and "inspection" not in table


def test_broken_pictures_are_named_with_the_reason(tmp_path):
    half = io.BytesIO()
    blotches(1).save(half, "PNG")
    pictures = {"a/good.png": blotches(1), "a/empty.png": b"", "a/text.jpg": b"hello", "a/half.png": half.getvalue()[:900]}
    table = a_table(tmp_path, {**pictures, "a/gone.png": b""})
    (tmp_path / "a/gone.png").unlink()
    (tmp_path / "a/folder.png").mkdir()
    table = pd.concat(
        [table, table.tail(1).assign(file="a/folder.png", path=str(tmp_path / "a/folder.png"))], ignore_index=True
    )
    selected, dropped = select(table, OPTIONS, 0)
    why = dict(dropped)
    assert selected["file"].tolist() == ["a/good.png"]
    assert why["a/empty.png"] == "empty file" and why["a/text.jpg"].startswith("not a PNG")
    assert why["a/half.png"].startswith("damaged") and why["a/gone.png"].startswith("can't be read: No such file")
    assert "directory" in why["a/folder.png"]
    assert all("\n" not in text for text in why.values())


def test_every_head_of_one_picture_keeps_its_own_reason(tmp_path):
    table = a_table(tmp_path, {"a/1.png": blotches(1), "b/1.png": blotches(1)})
    boxes = [LabeledBox(100, 100, 120, 120), LabeledBox(0, 0, 32, 32)]
    table = table.assign(file="one.png", path=str(tmp_path / "a/1.png")).assign(box=pd.Series(boxes, dtype=object))
    selected, dropped = select(table, OPTIONS, 0)
    assert selected["character"].tolist() == ["b"]
    assert len(dropped) == 1 and "lies outside" in dropped[0][1] and (selected["width"][0], selected["height"][0]) == (38, 38)


def near_duplicates(picture: Image.Image) -> dict[str, Image.Image]:
    again = io.BytesIO()
    picture.save(again, "JPEG", quality=60)
    return {
        "re-encoded": Image.open(io.BytesIO(again.getvalue())),
        "mirrored": ImageOps.mirror(picture),
        "smaller": picture.resize((48, 48), Image.Resampling.LANCZOS),
        "darker": picture.point(lambda v: int(v * 0.9)),
        "the same": picture,
    }


@pytest.mark.parametrize("kind", near_duplicates(blotches(0)))
def test_near_duplicates_are_dropped_within_a_character(tmp_path, kind):
    twin = near_duplicates(blotches(1))[kind]
    pictures = {"a/1.png": blotches(1), "a/2.png": blotches(2), "a/3.png": twin, "b/1.png": blotches(3), "b/2.png": blotches(4)}
    selected = select(a_table(tmp_path, pictures), OPTIONS, 0)
    assert files(selected) == ["a/1.png", "a/2.png", "b/1.png", "b/2.png"]
    assert selected[1] == [("a/3.png", "near-duplicate of another picture of its character")]
    assert len(files(select(a_table(tmp_path, pictures), replace(OPTIONS, near_duplicate_bits=-1), 0))) == 5


@pytest.mark.parametrize("bits", [-1, 0, 6])
@pytest.mark.parametrize("kind", sorted(near_duplicates(blotches(0)).keys() - {"darker"}))
def test_a_picture_under_two_characters_is_left_out_of_both(tmp_path, kind, bits):
    twin = near_duplicates(blotches(1))[kind]
    pictures = {"a/1.png": blotches(1), "a/2.png": blotches(2), "b/1.png": twin, "b/2.png": blotches(3), "c/1.png": blotches(4)}
    selected = select(a_table(tmp_path, pictures), replace(OPTIONS, near_duplicate_bits=bits), 0)
    assert files(selected) == ["a/2.png", "b/2.png", "c/1.png"]
    assert selected[1] == [("a/1.png", f"{SAME_PICTURE} b"), ("b/1.png", f"{SAME_PICTURE} a")]


def test_look_alikes_that_differ_in_a_color_are_different_pictures(tmp_path):
    def sprite(eyes: str) -> Image.Image:
        picture = blotches(1, 96)
        for left in (30, 54):
            ImageDraw.Draw(picture).ellipse((left, 40, left + 12, 54), fill=eyes)
        return picture

    table = a_table(tmp_path, {"a/1.png": sprite("#c03030"), "b/1.png": sprite("#306fc0")})
    assert files(select(table, OPTIONS, 0)) == ["a/1.png", "b/1.png"]


def test_every_twin_counts_not_only_those_that_would_be_kept(tmp_path):
    pictures = {"a/1.png": blotches(1), "a/2.png": blotches(1), "a/3.png": blotches(2), "b/1.png": ImageOps.mirror(blotches(1))}
    assert files(select(a_table(tmp_path, pictures), OPTIONS, 0)) == ["a/3.png"]


@pytest.mark.parametrize("bits", [-1, 6])
def test_a_picture_in_two_splits_of_its_character_stays_in_one(tmp_path, bits):
    pictures = {"a/1.png": blotches(1), "a/2.png": blotches(1), "a/3.png": blotches(2)}
    table = a_table(tmp_path, pictures).assign(split=["test", "train", "train"])
    selected = select(table, replace(OPTIONS, near_duplicate_bits=bits), 0)
    assert files(selected) == ["a/1.png", "a/3.png"]
    assert selected[1] == [("a/2.png", "near-duplicate of another picture of its character, in another split")]


def test_near_duplicates_are_what_a_naive_loop_finds(tmp_path):
    rng = np.random.default_rng(0)
    base = [np.asarray(blotches(seed), int) for seed in range(4)]
    pictures = {}
    for i in range(24):  # more and more noise on few motifs: distances of all sizes
        noisy = (base[i % 4] + rng.normal(0, 4 * (i // 4), base[0].shape)).clip(0, 255).astype(np.uint8)
        pictures[f"{'ab'[i % 2]}/{i:02}.png"] = Image.fromarray(noisy)
    table = a_table(tmp_path, pictures).sort_values(["character", "file"], ignore_index=True)

    def bits(picture):
        rows = []
        small = picture.convert("L").resize((17, 16), Image.Resampling.LANCZOS)
        for y in range(16):
            for x in range(16):
                rows.append(small.getpixel((x + 1, y)) > small.getpixel((x, y)))
        return rows

    counts = set()
    for limit in (0, 6, 20, 60):
        kept = []
        for name in table["file"]:
            hashes = [bits(pictures[name]), bits(ImageOps.mirror(pictures[name]))]
            near = any(
                sum(a != b for a, b in zip(mine, bits(pictures[other]))) <= limit
                for other in kept if other[0] == name[0] for mine in hashes
            )  # fmt: skip
            if not near:
                kept.append(name)
        assert files(select(table, replace(OPTIONS, near_duplicate_bits=limit), 0)) == kept
        counts.add(len(kept))
    assert len(counts) >= 3  # the limits made a difference


def test_characters_with_too_few_pictures_are_left_out_also_after_the_broken_ones(tmp_path):
    pictures = {f"{name}/{i}.png": blotches(ord(name) * 10 + i) for name in "abc" for i in range("abc".index(name) + 1)}
    pictures["b/1.png"] = b"broken"
    selected, dropped = select(a_table(tmp_path, pictures), replace(OPTIONS, min_pictures=2), 0)
    assert set(selected["character"]) == {"c"} and len(selected) == 3
    assert dict(dropped) == {
        "a/0.png": "its character has fewer than 2 pictures",
        "b/0.png": "its character has fewer than 2 pictures",
        "b/1.png": "not a PNG, JPEG, WebP, AVIF, GIF or BMP picture",
    }


def test_a_dataset_without_one_usable_character_gives_an_empty_table(tmp_path):
    selected, dropped = select(a_table(tmp_path, {"a/1.png": blotches(1)}), replace(OPTIONS, min_pictures=2), 0)
    assert selected.empty and len(dropped) == 1


def test_pictures_per_character_draws_at_random_with_the_seed_alone(tmp_path):
    pictures = {f"{name}/{i}.png": blotches(ord(name) * 20 + i) for name in "abc" for i in range(12)}
    table = a_table(tmp_path, pictures)
    some = replace(OPTIONS, pictures_per_character=4)
    first = files(select(table, some, seed=0))
    assert first == files(select(table, some, seed=0)) != files(select(table, some, seed=1))
    assert pd.Series(first).str[0].value_counts().to_dict() == {"a": 4, "b": 4, "c": 4}
    # the draw of one character does not depend on the others
    assert files(select(table[table["character"] != "a"].reset_index(drop=True), some, seed=0)) == [
        f for f in first if f[0] != "a"
    ]
    assert len({tuple(f[2:] for f in first if f[0] == name) for name in "abc"}) > 1


def test_a_stable_number_is_the_same_in_every_process():
    assert stable_number("初音ミク") == 14101372514319648794
