import io
import json
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder.defaults import BATCH
from crystal_eyes.encoder.embeddings import embed_catalogue, read_embeddings
from crystal_eyes.encoder.runtime import OnnxEncoder
from crystal_eyes.encoder.sketches import lines
from crystal_eyes.errors import UserError
from crystal_eyes.images import PictureError
from crystal_eyes.recognizer import Recognizer
from crystal_eyes.recognizer.pictures import pixels
from tests.bundles import add_character
from tests.runs import ROOT, draw_head

EMPTY = Image.new("RGB", (40, 40), "white")
STRIP = Image.new("RGB", (90, 30), "white")  # too long for a head crop: looked at once


def png(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def two_heads() -> Image.Image:
    ground = Image.new("RGB", (400, 200), "white")
    for number, x in enumerate((60, 260)):
        ground.paste(draw_head(number, 0).resize((72, 72)), (x, 60))
    return ground


def assert_same(recognizer: Recognizer, found: list, expected: list) -> None:
    """Whether answers to several pictures are the same, up to what a sum in another order changes.

    How many heads are embedded together changes the last bits of an embedding. A calibration score may lie between two such
    numbers, so that the p-values are one step apart: they are compared with those of the head's own unlikeness instead.
    """
    assert len(found) == len(expected)
    for mine, other in zip(found, expected):
        if not isinstance(other, list):
            assert type(mine) is type(other) and str(mine) == str(other)
            continue
        assert len(mine) == len(other)
        for a, b in zip(mine, other):
            exact = ("box", "confidence", "whole_picture", "monochrome")
            assert [getattr(a, name) for name in exact] == [getattr(b, name) for name in exact]
            assert a.unlikeness == pytest.approx(b.unlikeness, abs=1e-3)
            calibration = recognizer.naming.line if a.monochrome else recognizer.naming.color
            own = np.array([a.unlikeness])
            assert (a.p_value, a.stranger_share) == (calibration.p_values(own)[0], calibration.stranger_shares(own)[0])
            assert [(one.character, one.series) for one in a.candidates] == [
                (one.character, one.series) for one in b.candidates
            ]
            assert [one.probability for one in a.candidates] == pytest.approx(
                [one.probability for one in b.candidates], abs=1e-4
            )
            assert [one.similarity for one in a.nearest] == pytest.approx([one.similarity for one in b.nearest], abs=1e-4)
            assert [replace(one, similarity=0) for one in a.nearest] == [replace(one, similarity=0) for one in b.nearest]


# One head


def test_a_head_is_answered_in_full(recognizer):
    (head,) = recognizer.recognize(draw_head(1, 0))
    assert head.box == (0, 0, 48, 48) and head.whole_picture and not head.monochrome
    probabilities = [one.probability for one in head.candidates]
    assert len(probabilities) == 5 and probabilities == sorted(probabilities, reverse=True)
    assert 0 < sum(probabilities) <= 1 and probabilities[0] > 1 / 8
    assert len({one.character for one in head.candidates}) == 5
    assert 0 < head.p_value <= 1 and 0 < head.stranger_share <= 1 and np.isfinite(head.unlikeness)


@pytest.mark.parametrize("character", [0, 1, 2])
def test_a_training_head_is_named(recognizer, character):
    (head,) = recognizer.recognize(draw_head(character, 0))
    series = f"Series {character}" if character % 2 else ""
    assert (head.candidates[0].character, head.candidates[0].series) == (f"Character {character}", series)


def test_the_nearest_are_the_best_reference_of_each_character(recognizer):
    (head,) = recognizer.recognize(draw_head(1, 0))
    names, gallery = recognizer.naming.gallery.characters, recognizer.naming.gallery
    similar = (recognizer.embed([pixels(draw_head(1, 0))]) @ gallery.embeddings.T)[0].tolist()
    best = {}
    for row, name in enumerate(names):
        if name not in best or similar[row] > similar[best[name]]:
            best[name] = row
    rows = sorted(best.values(), key=lambda row: -similar[row])[:5]
    assert [one.character for one in head.nearest] == [names[row] for row in rows]
    assert [one.similarity for one in head.nearest] == pytest.approx([min(1, similar[row]) for row in rows], abs=1e-5)
    assert [one.thumbnail for one in head.nearest] == [gallery.thumbnail(row) for row in rows]
    assert [one.series for one in head.nearest] == [recognizer.naming.series[names[row]] for row in rows]


def test_as_dict_is_json(recognizer):
    for head in recognizer.recognize(two_heads()):
        again = json.loads(json.dumps(head.as_dict()))
        assert len(again["candidates"]) == 5 and again["sentence"] == head.sentence()


def test_line_art_is_seen_as_such_and_read_by_its_own_calibration(recognizer):
    found = recognizer.find(draw_head(1, 0))
    gray = [replace(found[0], picture=np.asarray(lines(draw_head(1, 0))))]
    (head,), (colored,) = recognizer.name_heads(gray), recognizer.name_heads(found)
    assert head.monochrome and not colored.monochrome
    named = recognizer.naming(recognizer.embed([gray[0].picture]), np.array([True]))
    assert (head.p_value, head.stranger_share) == (named.p_values[0], named.stranger_shares[0])
    assert head.candidates[0].probability == pytest.approx(float(named.probabilities.max()), abs=1e-5)


def test_fewer_characters_than_five_are_all_the_candidates(bundle_folder, tmp_path):
    from crystal_eyes.classifiers.perceptron import Perceptron
    from crystal_eyes.recognizer import gallery
    from crystal_eyes.recognizer.bundle import LISTING, write_listing

    folder = Path(shutil.copytree(bundle_folder, tmp_path / "few"))
    x = np.load(folder / "means.npy").astype(np.float32)[:2]
    perceptron = Perceptron(Perceptron.Options(epochs=5), 0)
    perceptron.fit(x, np.arange(2))
    perceptron.export_onnx(folder / "classifier.onnx")
    np.save(folder / "means.npy", x)
    (folder / "characters.json").write_text('[["A", ""], ["B", "b"]]')
    gallery.write(folder, x, ["A", "B"], [draw_head(0, 0), draw_head(1, 0)])
    write_listing(folder, {}, [path.name for path in folder.iterdir() if path.name != LISTING])
    (head,) = Recognizer.load(folder, 1).recognize(draw_head(1, 0))
    assert {one.character for one in head.candidates} == {one.character for one in head.nearest} == {"A", "B"}
    assert sum(one.probability for one in head.candidates) + head.nobody == pytest.approx(1, abs=1e-5)


def test_an_enrolled_character_is_found_by_its_own_heads(bundle_folder, recognizer, tmp_path):
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "more"))
    shown = [pixels(draw_head(0, number)) for number in range(20, 23)]
    add_character(folder, "Zoe", "Isle", recognizer.embed(shown), [Image.fromarray(one) for one in shown])
    (head,) = Recognizer.load(folder, 1).recognize(draw_head(0, 20))
    assert (head.nearest[0].character, head.nearest[0].series) == ("Zoe", "Isle")
    assert head.nearest[0].similarity == pytest.approx(1, abs=2e-3)
    assert sum(one.probability for one in head.candidates) <= 1 + 1e-6


# The picture as it comes


@pytest.mark.parametrize("make", [draw_head, lambda *_: two_heads()], ids=["head", "page"])
def test_bytes_a_path_a_string_and_a_pillow_picture_are_answered_alike(recognizer, tmp_path, make):
    picture, path = make(1, 0), tmp_path / "絵.png"
    path.write_bytes(png(picture))
    expected = recognizer.recognize(png(picture))
    assert expected
    for given in (path, str(path), picture, Image.open(path), picture.convert("RGBA"), png(picture, "WEBP", lossless=True)):
        assert recognizer.recognize(given) == expected


def clear_corner() -> Image.Image:
    picture = draw_head(1, 0).convert("RGBA")
    picture.paste((0, 0, 0, 0), (0, 0, 12, 12))
    return picture


@pytest.mark.parametrize(
    "picture",
    [draw_head(1, 0), clear_corner(), draw_head(1, 0).convert("L"), draw_head(1, 0).quantize(16), draw_head(1, 0).convert("1"),
     clear_corner().convert("LA"), draw_head(1, 0).convert("RGB").quantize(4, dither=0)],
    ids=["RGB", "RGBA", "L", "P", "1", "LA", "P4"],
)  # fmt: skip
def test_a_pillow_picture_of_any_mode_shows_what_its_png_shows(picture):
    shown = pixels(picture)
    assert shown.dtype == np.uint8 and shown.shape == (48, 48, 3)
    np.testing.assert_array_equal(shown, pixels(png(picture)))


def test_sixteen_bit_pillow_pictures_show_what_their_png_shows():
    picture = Image.fromarray(np.arange(0, 65_536, 16, dtype=np.uint16).reshape(64, 64))
    np.testing.assert_array_equal(pixels(picture), pixels(png(picture)))


def test_a_pillow_picture_that_lies_on_its_side_is_turned_as_its_bytes_are():
    """A box is in pixels of the upright picture, however the picture was handed over."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = png(two_heads(), "JPEG", exif=exif)
    assert pixels(data).shape == (400, 200, 3)
    np.testing.assert_array_equal(pixels(Image.open(io.BytesIO(data))), pixels(data))


def test_what_is_transparent_is_shown_on_white():
    assert (pixels(Image.new("RGBA", (3, 3), (9, 9, 9, 0))) == 255).all()


@pytest.mark.parametrize("data, error", [(b"", PictureError), (b"no picture", PictureError), (png(EMPTY)[:60], PictureError)])
def test_bytes_that_are_not_a_picture_raise_the_reason(recognizer, data, error):
    with pytest.raises(error) as caught:
        recognizer.recognize(data)
    assert str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_is_an_os_error(recognizer, tmp_path):
    for path in (tmp_path / "nothing.png", str(tmp_path / "nothing.png")):
        with pytest.raises(FileNotFoundError):
            recognizer.recognize(path)
    with pytest.raises(OSError):
        recognizer.recognize(tmp_path)


def test_a_picture_without_heads_gives_none(recognizer):
    assert recognizer.recognize(EMPTY) == [] and recognizer.find(EMPTY) == [] and recognizer.name_heads([]) == []


def test_an_embedding_is_the_one_that_the_embed_step_made(recognizer, bundle_folder, catalogue: Catalogue, tmp_path):
    """Serving and training share one preprocessing."""
    embed_catalogue(OnnxEncoder(bundle_folder / "encoder.onnx"), catalogue, tmp_path, 16)
    expected, table = read_embeddings(tmp_path)
    places = zip(*(table.column(name).to_pylist() for name in ("offset", "length", "digest")))
    heads = [pixels(catalogue.read(*place)) for place in places]
    assert len(heads) > BATCH  # more than one call
    np.testing.assert_allclose(recognizer.embed(heads), expected, atol=1e-5, rtol=0)
    assert recognizer.embed([]).shape == (0, 16)
    sizes = [np.full((h, w, 3), 90, np.uint8) for h, w in ((1, 1), (300, 20), (32, 32))]
    assert np.linalg.norm(recognizer.embed(sizes), axis=1) == pytest.approx(1, abs=1e-4)


def test_the_caller_says_how_pictures_are_searched(recognizer):
    plain = np.full((90, 300, 3), 200, np.uint8)
    assert recognizer.recognize(plain) == [] == recognizer.find(plain)
    (head,) = recognizer.recognize(plain, head=True)
    assert (head.box, head.confidence, head.whole_picture) == ((0, 0, 300, 90), 1, True)
    ((again,),) = recognizer.recognize_many([plain], head=True)
    assert again.box == head.box
    page = np.full((1000, 1600, 3), 240, np.uint8)
    for number in range(6):
        x, y = 90 + 500 * (number % 3), 200 + 500 * (number // 3)
        page[y : y + 40, x : x + 40] = draw_head(number, 0).resize((40, 40))
    fine = recognizer.find(page, detail="high")
    assert len(recognizer.find(page)) < len(fine) >= 5
    assert len(next(recognizer.recognize_many([page], detail="high"))) == len(fine)
    for wrong in ({"detail": "fine"}, {"detail": "high", "head": True}):
        with pytest.raises(ValueError):
            recognizer.recognize(plain, **wrong)
        with pytest.raises(ValueError):
            list(recognizer.recognize_many([plain], **wrong))


# Many pictures


@pytest.fixture(scope="module")
def mixed(tmp_path_factory) -> list:
    path = tmp_path_factory.mktemp("mixed") / "head.png"
    draw_head(2, 1).save(path)
    return [
        draw_head(1, 0),
        EMPTY,
        b"no picture",
        two_heads(),
        path,
        path.with_name("gone.png"),
        png(draw_head(0, 2)),
        b"",
        EMPTY,
    ]


def one_by_one(recognizer: Recognizer, pictures: list) -> list:
    out = []
    for picture in pictures:
        try:
            out.append(recognizer.recognize(picture))
        except (PictureError, OSError) as error:
            out.append(error)
    return out


@pytest.mark.parametrize("times", [1, 5])
def test_many_pictures_are_answered_in_order_as_one_by_one(recognizer, mixed, times):
    expected = one_by_one(recognizer, mixed) * times
    assert [type(one) for one in expected[:9]].count(list) == 6 and len(expected[3]) == 2
    found = list(recognizer.recognize_many(picture for picture in mixed * times))
    assert_same(recognizer, found, expected)


def test_more_heads_than_go_to_the_encoder_together_are_all_named_in_order(recognizer):
    heads = [recognizer.find(draw_head(number, 0))[0] for number in (0, 1, 2)]
    expected = recognizer.name_heads(heads)
    many = recognizer.name_heads(heads * (BATCH // 3 + 2))
    assert len(many) > BATCH
    assert_same(recognizer, [many], [expected * (BATCH // 3 + 2)])


def test_none_and_one_picture_are_many_too(recognizer):
    assert list(recognizer.recognize_many([])) == []
    (found,) = recognizer.recognize_many(iter([draw_head(1, 0)]))
    assert_same(recognizer, [found], [recognizer.recognize(draw_head(1, 0))])


@pytest.mark.parametrize("count", [64, 130])
def test_more_pictures_without_heads_than_go_together_are_all_answered(recognizer, count):
    assert list(recognizer.recognize_many([STRIP] * count)) == [[]] * count


def test_errors_alone_are_all_answered(recognizer):
    found = list(recognizer.recognize_many([b"no picture"] * 150))
    assert len(found) == 150 and all(isinstance(one, PictureError) for one in found)


def test_answers_come_before_all_pictures_were_asked_for(recognizer):
    asked = []

    def long():
        for _ in range(600):
            asked.append(1)
            yield STRIP if len(asked) % 2 else b"no picture"

    answers = recognizer.recognize_many(long())
    assert next(answers) == [] and isinstance(next(answers), PictureError)
    assert len(asked) <= 2 * BATCH + 4 * (os.cpu_count() or 1) + 4
    answers.close()


def test_an_error_of_the_given_generator_reaches_the_caller(recognizer):
    def broken():
        yield EMPTY
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        list(recognizer.recognize_many(broken()))
    assert threading.active_count() < 50


def test_eight_threads_get_the_answers_of_one(recognizer, bundle_folder):
    shared = Recognizer.load(bundle_folder)
    pictures = [draw_head(n % 3, n) for n in range(8)] + [two_heads()] * 2
    expected = [recognizer.recognize(picture) for picture in pictures]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(shared.recognize, pictures))
    assert_same(recognizer, found, expected)
    assert sum(map(len, expected)) >= 10


# Where the bundle comes from


def test_a_registered_models_folder_holds_the_bundle_inside(bundle_folder, recognizer, tmp_path):
    inside = tmp_path / "model" / "artifacts"
    inside.mkdir(parents=True)
    (inside / "bundle").symlink_to(bundle_folder)
    found = Recognizer.load(str(tmp_path / "model"), 1)
    assert found.recognize(draw_head(1, 0)) == recognizer.recognize(draw_head(1, 0))


@pytest.mark.parametrize("kind", [str, Path])
def test_a_missing_folder_is_a_user_error(tmp_path, kind):
    with pytest.raises(UserError, match="does not exist") as caught:
        Recognizer.load(kind(tmp_path / "nothing"))
    assert str(tmp_path / "nothing") in str(caught.value) and "\n" not in str(caught.value)


BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked}:
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Block())
from crystal_eyes.errors import UserError
from crystal_eyes.recognizer import Recognizer
{code}
"""
HEAVY = (
    "torch torchvision mlflow cv2 pandas sklearn scipy tqdm pyarrow onnx geffnet faiss skops safetensors matplotlib ultralytics"
    " pytorch_metric_learning starlette uvicorn yaml hypothesis pytest"
).split()


def alone(code: str, *arguments: str, blocked=HEAVY) -> str:
    """What a fresh Python prints that can't import the blocked libraries."""
    done = subprocess.run(
        [sys.executable, "-c", BLOCK.format(blocked=set(blocked), code=code), *arguments],
        cwd=ROOT, capture_output=True, text=True, encoding="utf-8", env={**os.environ, "PYTHONUTF8": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_recognition_needs_only_numpy_pillow_and_onnxruntime(bundle_folder, recognizer, tmp_path):
    two_heads().save(tmp_path / "page.png")
    code = """
import json
recognizer = Recognizer.load(sys.argv[1], 1)
print(json.dumps([head.as_dict() for head in recognizer.recognize(sys.argv[2])]))
assert len(list(recognizer.recognize_many([sys.argv[2]] * 3))) == 3
"""
    found = json.loads(alone(code, str(bundle_folder), str(tmp_path / "page.png")))
    expected = [json.loads(json.dumps(head.as_dict())) for head in recognizer.recognize(tmp_path / "page.png")]
    assert len(found) == 2
    for one, other in zip(found, expected):
        assert [c["character"] for c in one["candidates"]] == [c["character"] for c in other["candidates"]]
        assert one["box"] == pytest.approx(other["box"]) and one["verdict"] == other["verdict"]
        assert one["unlikeness"] == pytest.approx(other["unlikeness"], abs=1e-3)


@pytest.mark.parametrize("source", ["models:/crystal-eyes@champion", "models:/crystal-eyes/1", "runs:/0123/bundle"])
def test_without_mlflow_a_uri_says_what_to_install(source):
    code = """
try:
    Recognizer.load(sys.argv[1])
except UserError as error:
    print(error)
"""
    text = alone(code, source).rstrip("\n")
    assert "\n" not in text and source in text and "pip install mlflow" in text


def test_the_package_gives_the_recognizer_and_importing_it_loads_nothing():
    code = """
import os
before = dict(os.environ)
import crystal_eyes
assert "numpy" not in sys.modules and dict(os.environ) == before
from crystal_eyes import Head, Recognizer
assert Recognizer.load and Head.__name__ == "Head" and crystal_eyes.__version__
assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
try:
    crystal_eyes.nothing
except AttributeError as error:
    print(error)
"""
    preamble, _, _ = BLOCK.partition("from crystal_eyes.errors")
    done = subprocess.run(
        [sys.executable, "-c", preamble.format(blocked=set(HEAVY) - {"tqdm"}) + code],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "has no attribute 'nothing'" in done.stdout
