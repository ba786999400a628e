import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crystal_eyes.recognizer import gallery
from crystal_eyes.recognizer.gallery import SIDE, Gallery, representative, thumbnail


def unit(seed: int, count: int, d: int = 4, copies: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, d))
    if copies:
        x = x[rng.integers(0, max(1, count // 2), count)]
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def plain(*colors) -> list[Image.Image]:
    return [Image.new("RGB", (120, 100), color) for color in colors]


def decoded(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=["WEBP"]).convert("RGB")


@settings(deadline=None)
@given(st.integers(0, 500), st.integers(1, 14), st.integers(1, 20), st.booleans())
def test_representatives_are_those_of_a_naive_search(seed, heads, count, copies):
    x = unit(seed, heads, copies=copies)
    found = representative(x, count).tolist()
    assert len(found) == min(count, heads) == len(set(found)) and set(found) <= set(range(heads))
    middle = x.astype(float).mean(axis=0)
    assert float(x[found[0]] @ middle) == pytest.approx(max(float(one @ middle) for one in x), abs=1e-5)
    for place in range(1, len(found)):  # each is as far from those before it as any that is left
        worst = [max(float(x[row] @ x[other]) for other in found[:place]) for row in range(heads)]
        left = [worst[row] for row in range(heads) if row not in found[:place]]
        assert worst[found[place]] == pytest.approx(min(left), abs=1e-5)


def test_duplicates_are_taken_last():
    x = np.repeat(np.eye(4, dtype=np.float32), 3, axis=0)
    assert len({row // 3 for row in representative(x, 4)}) == 4
    assert sorted(representative(x, 12)) == list(range(12))


def test_more_representatives_begin_with_the_fewer():
    x = unit(3, 30)
    before = x.copy()
    assert representative(x, 9)[:4].tolist() == representative(x, 4).tolist()
    np.testing.assert_array_equal(x, before)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 400), st.integers(1, 400))
def test_a_thumbnail_is_a_small_webp_of_the_same_shape(width, height):
    small = decoded(thumbnail(Image.new("RGB", (width, height), (200, 40, 90))))
    assert max(small.size) == min(SIDE, max(width, height))
    scale = max(small.size) / max(width, height)
    assert small.size == pytest.approx((max(1, width * scale), max(1, height * scale)), abs=1)
    assert np.abs(np.asarray(small, int)[0, 0] - (200, 40, 90)).max() < 12


def test_a_very_long_picture_has_a_thumbnail_and_is_left_as_it_was():
    strip = Image.new("RGB", (10_000, 10), (9, 9, 9))
    assert decoded(thumbnail(strip)).size == (SIDE, 1) and strip.size == (10_000, 10)


def test_what_was_written_is_read_in_its_order(tmp_path):
    x, names, colors = unit(0, 3, 16), ["Ångström", "名", "Ångström"], [(250, 10, 10), (10, 250, 10), (10, 10, 250)]
    gallery.write(tmp_path / "new" / "one", x, names, plain(*colors))
    read = Gallery([tmp_path / "new" / "one"])
    assert read.characters == names and read.embeddings.dtype == np.float32
    np.testing.assert_allclose(read.embeddings, x, atol=1e-3)
    for row, color in enumerate(colors):
        picture = decoded(read.thumbnail(row))
        assert picture.size == (96, 80) and np.abs(np.asarray(picture, int)[40, 40] - color).max() < 25
    assert {path.name for path in (tmp_path / "new" / "one").iterdir()} == set(gallery.FILES)


@pytest.mark.parametrize(("d", "kind"), [(512, np.int8), (16, np.float16)])
def test_compact_embeddings_keep_their_cosines(tmp_path, d, kind):
    x, queries = unit(0, 200, d), unit(1, 100, d)
    gallery.write_thumbnails(tmp_path, gallery.compact(x), ["A"] * 200, [b""] * 200)
    read = Gallery([tmp_path])
    assert np.load(tmp_path / gallery.EMBEDDINGS).dtype == kind
    np.testing.assert_allclose(queries @ read.embeddings.T, queries @ x.T, atol=2e-3)
    np.testing.assert_allclose((read.embeddings * x).sum(axis=1), 1, atol=1e-3)


def test_a_gallery_without_pictures_has_embeddings_only(tmp_path):
    gallery.write_thumbnails(tmp_path / "trained", unit(0, 2), ["A", "B"], [b"", b""])
    gallery.write(tmp_path / "enrolled", unit(1, 1), ["C"], plain("red"))
    read = Gallery([tmp_path / "trained", tmp_path / "enrolled"])
    assert [bool(read.thumbnail(row)) for row in range(3)] == [False, False, True]
    assert (tmp_path / "trained" / gallery.THUMBNAILS).read_bytes() == b""


def test_galleries_of_several_folders_follow_each_other(tmp_path):
    parts = [(["A", "B"], plain("red", "lime")), (["C"], plain("blue")), (["D", "E"], plain("white", "black"))]
    for place, (names, pictures) in enumerate(parts):
        gallery.write(tmp_path / str(place), unit(place, len(names)), names, pictures)
    folders = [tmp_path / str(place) for place in range(3)]
    together, alone = Gallery(folders), [Gallery([folder]) for folder in folders]
    assert together.characters == [*"ABCDE"]
    np.testing.assert_array_equal(together.embeddings, np.concatenate([one.embeddings for one in alone]))
    expected = [one.thumbnail(row) for one in alone for row in range(len(one.characters))]
    assert [together.thumbnail(row) for row in range(5)] == expected and len(set(expected)) == 5


def test_nothing_in_a_gallery_is_a_pickle(tmp_path):
    gallery.write(tmp_path, unit(0, 2), np.array(["A", "B"]), plain("red", "blue"))
    assert np.load(tmp_path / gallery.EMBEDDINGS, allow_pickle=False).dtype == np.float16
    assert [name for name, _ in json.loads((tmp_path / gallery.ROWS).read_text("utf-8"))] == ["A", "B"]
