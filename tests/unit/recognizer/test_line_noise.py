"""Bundles that know how heads in line art or gray vary, and those that do not."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from crystal_eyes.cli import main
from crystal_eyes.errors import UserError
from crystal_eyes.recognizer import Head, Recognizer, bundle, enrolled_files
from crystal_eyes.recognizer.bundle import read_bundle
from crystal_eyes.recognizer.enrolled_logits import read_enrolled_logits
from crystal_eyes.recognizer.enrollment import enroll
from crystal_eyes.recognizer.naming import Naming
from crystal_eyes.recognizer.shard import empty_shard
from crystal_eyes.recognizer.stored import create_stored, encoder_of, open_stored
from tests.bundles import add_line_noise, bring_to_one_length
from tests.runs import draw_head
from tests.unit.recognizer.test_stored import made_up

LINE = np.array([True, False] * 3)


@pytest.fixture
def folder(bundle_folder, tmp_path) -> Path:
    """A bundle with an enrolled character, which knows it."""
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "bundle"))
    add_line_noise(folder)
    enroll(folder, "Nova", "S", pictures(tmp_path / "nova", 20), head=True)
    return folder


def pictures(folder: Path, character: int, mode: str = "RGB") -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        draw_head(character, number).resize((192, 192)).convert(mode).save(path)
    return paths


def unit(seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(6, 16))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def test_heads_in_line_art_get_the_logits_that_the_files_say(folder):
    x, naming = unit(), Naming(read_bundle(folder), 1)
    matrix, ratios, center = np.split(np.load(folder / bundle.EXPECTED).astype(float), [16, 17])
    precision = np.load(folder / bundle.LINE_NOISE).astype(float) @ matrix
    adapted = center + (x - center) @ matrix @ precision @ np.linalg.inv(matrix)
    values = read_bundle(folder).json(bundle.CALIBRATION)
    session = onnxruntime.InferenceSession(folder / bundle.CLASSIFIER)
    trained = session.run(None, {"embeddings": adapted.astype(np.float32)})[0] + values["line_bias_changes"]
    mean = np.load(read_bundle(folder).enrolled[0] / "gallery.npy").astype(float).mean(axis=0)
    point = ((mean - center) @ matrix * 3 * ratios / (3 * ratios + 1))[0]
    line = values["enrolled_points"]
    own = ((x - center) @ matrix @ precision @ point - point @ precision @ point / 2) / 25
    found = naming.evidence(x, LINE)
    np.testing.assert_allclose(found.logits[LINE, :-1], trained[LINE], rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(found.logits[LINE, -1], line["slope"] * own[LINE] + line["intercept"], rtol=2e-3, atol=2e-3)


def test_colored_heads_and_cosines_are_as_without_it(folder, tmp_path):
    without = Path(shutil.copytree(folder, tmp_path / "without"))
    listing = json.loads((without / bundle.LISTING).read_text())
    bundle.write_listing(without, listing["source"], [name for name in listing["files"] if name != bundle.LINE_NOISE])
    x = unit()
    found, expected = (Naming(read_bundle(one), 1).evidence(x, LINE) for one in (folder, without))
    colored = Naming(read_bundle(without), 1).evidence(x, np.zeros(6, bool))
    np.testing.assert_allclose(found.logits[~LINE], expected.logits[~LINE], atol=1e-6)
    assert not np.allclose(found.logits[LINE], expected.logits[LINE], atol=0.1)
    np.testing.assert_array_equal(expected.logits, colored.logits)  # as it was before there was such a file
    np.testing.assert_array_equal(found.to_means, expected.to_means)
    np.testing.assert_array_equal(found.to_gallery, expected.to_gallery)


def in_folders_and_stored(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Recognizer, Recognizer]:
    """Of a bundle in which three further characters are in folders, and of a copy in which they are stored."""
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    for name, number in {"Stella": 9, "Luna": 10, "Sol": 11}.items():
        given = pictures(tmp_path / name, number)
        monkeypatch.setattr(enrolled_files, "MOST_FOLDERS", 500)
        enroll(folder, name, "S", given, head=True)
        monkeypatch.setattr(enrolled_files, "MOST_FOLDERS", 1)
        enroll(other, name, "S", given, head=True)
    assert len(read_bundle(folder).enrolled) == 4 and read_bundle(other).many
    return Recognizer.load(folder, threads=1), Recognizer.load(other, threads=1)


def require_same_answer(both: tuple[Recognizer, Recognizer], path: Path) -> Head:
    (expected,), (found,) = (each.recognize(path, head=True) for each in both)
    assert [each.character for each in found.candidates] == [each.character for each in expected.candidates]
    assert [each.probability for each in found.candidates] == pytest.approx(
        [each.probability for each in expected.candidates], abs=1e-5
    )
    return found


def test_stored_characters_get_the_answers_of_those_in_folders(folder, tmp_path, monkeypatch):
    both = in_folders_and_stored(folder, tmp_path, monkeypatch)
    for number in (9, 11, 20, 3):
        (path, *_) = pictures(tmp_path / f"asked {number}", number, "L")
        assert require_same_answer(both, path).monochrome


def test_a_gray_picture_of_an_enrolled_character_is_named(folder, tmp_path, capsys):
    picture = tmp_path / "gray.png"
    Image.open(tmp_path / "nova" / "0.png").convert("L").save(picture)
    assert main(["recognize", str(picture), "--bundle", str(folder), "--head"]) == 0
    assert "gray" in capsys.readouterr().out


def test_changes_of_another_number_of_characters_are_refused(folder):
    values = read_bundle(folder).json(bundle.CALIBRATION)
    values["line_bias_changes"] = values["line_bias_changes"][1:]
    (folder / bundle.CALIBRATION).write_text(json.dumps(values))
    listing = json.loads((folder / bundle.LISTING).read_text())
    bundle.write_listing(folder, listing["source"], list(listing["files"]))
    with pytest.raises(UserError, match="different numbers of characters"):
        Naming(read_bundle(folder), 1)


def test_characters_in_a_gallery_of_format_3_are_found_and_compared_in_full(folder, tmp_path):
    """It does not say by which logits its points were made."""
    newer, older = folder, Path(shutil.copytree(folder, tmp_path / "older"))
    answers, x = [], unit()
    for one in (newer, older):
        stored = create_stored(read_bundle(one), 16)
        if one is older:
            stored.shards[0].db.execute("UPDATE meta SET value = 3 WHERE key = 'format'")
            stored.shards[0].db.commit()
            stored = open_stored(read_bundle(one))
        stored.put(made_up(20, 16))
        answers.append(Naming(read_bundle(one), 1)(x, LINE))
    assert [has_points(one) for one in (newer, older)] == [True, False]
    assert answers[0].probabilities.shape[1] == 8 + 1 + 20
    np.testing.assert_allclose(answers[0].probabilities, answers[1].probabilities, atol=1e-6)
    assert len(list(newer.glob("many-*/points*"))) == 3 and not list(older.glob("many-*/points*"))


def test_points_of_another_layer_are_not_searched(folder, tmp_path):
    """As where a bundle of the same encoder has adopted them, or where a new release has it."""
    stored = create_stored(read_bundle(folder), 16)
    stored.put(made_up(20, 16))
    assert has_points(folder)
    bring_to_one_length(folder)
    fresh = Path(shutil.copytree(folder, tmp_path / "fresh"))
    assert not has_points(folder)
    again = next(fresh.glob("many-*"))
    shutil.rmtree(again)
    empty_shard(again, encoder_of(read_bundle(folder)), 16)
    open_stored(read_bundle(fresh)).put(made_up(20, 16))
    assert has_points(fresh)
    answers = [Naming(read_bundle(one), 1)(unit(), LINE) for one in (folder, fresh)]
    np.testing.assert_allclose(answers[0].probabilities, answers[1].probabilities, atol=1e-6)
    # nor are those of characters that were added to them
    open_stored(read_bundle(folder)).put(made_up(25, 16)[20:])
    open_stored(read_bundle(fresh)).put(made_up(25, 16)[20:])
    assert [has_points(one) for one in (folder, fresh)] == [False, True]
    answers = [Naming(read_bundle(one), 1)(unit(), LINE) for one in (folder, fresh)]
    np.testing.assert_allclose(answers[0].probabilities, answers[1].probabilities, atol=1e-6)


def has_points(folder: Path) -> bool:
    bundle = read_bundle(folder)
    return open_stored(bundle).shards[0].has_points(read_enrolled_logits(bundle))
