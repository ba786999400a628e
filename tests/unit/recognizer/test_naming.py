import io
import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from crystal_eyes.encoder.runtime import OnnxEncoder
from crystal_eyes.recognizer import bundle, gallery
from crystal_eyes.recognizer.bundle import read_bundle
from crystal_eyes.recognizer.naming import Naming, mean_embedding
from tests.bundles import TEMPERATURES, add_character
from tests.runs import draw_head


@pytest.fixture(scope="module")
def encode(bundle_folder):
    encoder = OnnxEncoder(bundle_folder / "encoder.onnx", 1)
    return lambda character, count, start=0: encoder(
        np.stack([np.asarray(draw_head(character, start + n).resize((32, 32))) for n in range(count)])
    )


@pytest.fixture(scope="module")
def naming(bundle_folder) -> Naming:
    return Naming(read_bundle(bundle_folder), 1)


@pytest.fixture(scope="module")
def with_two(bundle_folder, encode, tmp_path_factory) -> Path:
    """A copy of the bundle with two characters more."""
    folder = Path(shutil.copytree(bundle_folder, tmp_path_factory.mktemp("two") / "bundle"))
    for name, series, character in (("Zoe", "", 21), ("Ami", "Isle", 20)):
        add_character(folder, name, series, encode(character, 3), [draw_head(character, n) for n in range(3)])
    return folder


def unit(count: int, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(count, 16))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def softmax(row: np.ndarray, temperature: float) -> list[float]:
    powers = np.exp((row.astype(float) - row.max()) / temperature)
    return (powers / powers.sum()).tolist()


def test_the_evidence_is_what_the_files_say(naming, bundle_folder):
    x = unit(6)
    found = naming.evidence(x, np.zeros(6, bool))
    logits = onnxruntime.InferenceSession(bundle_folder / "classifier.onnx").run(None, {"embeddings": x})[0]
    np.testing.assert_allclose(found.logits, logits, atol=1e-5)
    means, references = (np.load(bundle_folder / name).astype(float) for name in ("means.npy", "gallery.npy"))
    for name, rows in (("to_means", means), ("to_gallery", references)):
        expected = [[sum(a * b for a, b in zip(one, row)) for row in rows] for one in x.astype(float)]
        np.testing.assert_allclose(getattr(found, name), expected, atol=1e-5)


def test_color_and_line_art_have_a_calibration_each(naming, bundle_folder):
    x, line = unit(8), np.array([True, False] * 4)
    values = json.loads((bundle_folder / "calibration.json").read_text())
    logits = naming.evidence(x, line).logits
    found, colored = naming(x, line), naming(x, np.zeros(8, bool))
    for row in range(8):
        kind = "line" if line[row] else "colour"
        unlikeness = found.unlikeness[row]
        known, strangers = values[kind]["known"], values[kind]["strangers"]
        p = (1 + sum(k >= unlikeness for k in known)) / (1 + len(known))
        share = (1 + sum(s <= unlikeness for s in strangers)) / (1 + len(strangers))
        assert found.p_values[row] == p and found.stranger_shares[row] == share
        expected = [one * p / (p + share) for one in softmax(logits[row], TEMPERATURES[kind])]
        assert found.probabilities[row].tolist() == pytest.approx(expected, abs=1e-5)
    np.testing.assert_array_equal(found.unlikeness, colored.unlikeness)
    assert not np.allclose(found.probabilities[line], colored.probabilities[line])
    np.testing.assert_array_equal(found.probabilities[~line], colored.probabilities[~line])


def test_the_unlikeness_is_the_one_that_was_calibrated(naming, bundle_folder):
    stored = json.loads((bundle_folder / "calibration.json").read_text())["unlikeness"]
    terms = list(zip(stored["names"], stored["shifts"], stored["scales"], stored["weights"]))
    some, expected = naming.evidence(unit(5), np.zeros(5, bool)), np.zeros(5)
    oracles = {
        "max_logit": lambda e: -e.logits.max(axis=1),
        "mean": lambda e: 1 - e.to_means.max(axis=1),
        "neighbour": lambda e: 1 - e.to_gallery.max(axis=1),
        "energy": lambda e: -np.log(np.exp(e.logits.astype(float)).sum(axis=1)),
        "probability": lambda e: -np.log(np.array([max(softmax(row, 1)) for row in e.logits])),
        "cohort": lambda e: np.sort(e.to_gallery, axis=1)[:, -50:].mean(axis=1) - e.to_means.max(axis=1),
        "crowd": lambda e: 1 - np.sort(e.to_gallery, axis=1)[:, -5:].mean(axis=1),
    }
    for name, shift, scale, weight in terms:
        expected += weight * (oracles[name](some) - shift) / scale
    assert naming(unit(5), np.zeros(5, bool)).unlikeness.tolist() == pytest.approx(expected.tolist(), rel=1e-3, abs=1e-3)


def test_probabilities_and_that_of_nobody_add_up_to_one_with_and_without_enrolled_characters(naming, with_two):
    for one, count in ((naming, 8), (Naming(read_bundle(with_two), 1), 10)):
        found = one(unit(4), np.array([True, False, True, False]))
        known = found.p_values / (found.p_values + found.stranger_shares)
        assert found.probabilities.shape == (4, count)
        assert found.probabilities.sum(axis=1).tolist() == pytest.approx(known.tolist(), abs=1e-5)


def test_an_answer_does_not_depend_on_the_other_heads(naming):
    x, line = unit(9), np.arange(9) % 2 == 0
    together = naming(x, line)
    for row in range(9):
        alone = naming(x[row : row + 1], line[row : row + 1])
        np.testing.assert_allclose(alone.probabilities[0], together.probabilities[row], atol=1e-6)
        assert alone.p_values[0] == together.p_values[row] and alone.stranger_shares[0] == together.stranger_shares[row]


def test_enrolled_characters_come_after_the_learned_with_a_logit_of_their_mean(naming, with_two, encode):
    more, x = Naming(read_bundle(with_two), 1), unit(5)
    assert more.characters == [*naming.characters, ("Ami", "Isle"), ("Zoe", "")] and more.series["Ami"] == "Isle"
    before, after = (one.evidence(x, np.zeros(5, bool)) for one in (naming, more))
    np.testing.assert_array_equal(after.logits[:, :8], before.logits)
    np.testing.assert_allclose(after.to_means[:, :8], before.to_means, atol=1e-6)
    for column, character in ((8, 20), (9, 21)):
        mean = encode(character, 3).astype(float).mean(axis=0)
        cosine = x.astype(float) @ (mean / np.linalg.norm(mean))
        np.testing.assert_allclose(after.to_means[:, column], cosine, atol=2e-3)
        stored = np.load(with_two / bundle.EXPECTED).astype(float)
        matrix, ratios, center = stored[:-2], stored[-2], stored[-1]
        point = (mean - center) @ matrix * 3 * ratios / (3 * ratios + 1)
        line = bundle.read_bundle(with_two).json(bundle.CALIBRATION)["enrolled_points"]
        expected = line["slope"] / 25 * ((x - center) @ matrix @ point - point @ point / 2) + line["intercept"]
        np.testing.assert_allclose(after.logits[:, column], expected, rtol=1e-2, atol=5e-2)
    assert after.to_gallery.shape[1] == before.to_gallery.shape[1] + 6
    assert more.gallery.characters[-6:] == ["Ami"] * 3 + ["Zoe"] * 3


def test_each_enrolled_characters_references_are_its_own_heads(with_two, encode):
    more = Naming(read_bundle(with_two), 1)
    similar = more.evidence(encode(20, 3), np.zeros(3, bool)).to_gallery
    rows = np.flatnonzero(np.array(more.gallery.characters) == "Ami")
    np.testing.assert_allclose(np.diagonal(similar[:, rows]), 1, atol=2e-3)


def test_an_enrolled_character_makes_its_heads_less_unlike_and_leaves_the_files_alone(naming, with_two, bundle_folder, encode):
    heads, line = encode(20, 3), np.zeros(3, bool)
    more = Naming(read_bundle(with_two), 1)
    assert (more(heads, line).unlikeness <= naming(heads, line).unlikeness).all()
    assert (more(heads, line).probabilities[:, 8] > 0).all()
    for name in (*gallery.FILES, "means.npy", "characters.json", "calibration.json"):
        assert (with_two / name).read_bytes() == (bundle_folder / name).read_bytes()


def test_enrolled_logits_of_a_bundle_of_before_are_a_line_of_the_cosine(with_two, encode, tmp_path):
    old = Path(shutil.copytree(with_two, tmp_path / "old"))
    values = bundle.read_bundle(old).json(bundle.CALIBRATION)
    del values["enrolled_points"]
    (old / bundle.CALIBRATION).write_text(json.dumps(values))
    listing = json.loads((old / bundle.LISTING).read_text())
    bundle.write_listing(old, listing["source"], [name for name in listing["files"] if name != bundle.EXPECTED])
    x = unit(5)
    found = Naming(read_bundle(old), 1).evidence(x, np.zeros(5, bool))
    for column, character in ((8, 20), (9, 21)):
        mean = encode(character, 3).astype(float).mean(axis=0)
        cosine = x.astype(float) @ (mean / np.linalg.norm(mean))
        np.testing.assert_allclose(found.logits[:, column], 20 * cosine - 18, atol=5e-2)


def test_a_mean_embedding_has_unit_length_and_the_means_direction():
    found = mean_embedding(np.array([[1, 0, 0], [0, 1, 0]], np.float32))
    assert found.tolist() == pytest.approx([0.5**0.5, 0.5**0.5, 0]) and found.dtype == np.float32
    opposite = mean_embedding(np.array([[1, 0], [-1, 0]], np.float32))
    assert np.isfinite(opposite).all()


def test_pictures_of_a_gallery_are_those_of_its_rows(naming):
    assert naming.gallery.characters == [f"Character {n}" for n in range(8) for _ in range(2)]
    thumbnails = [naming.gallery.thumbnail(row) for row in range(16)]
    assert len(set(thumbnails)) == 16 and all(Image.open(io.BytesIO(one)).size == (48, 48) for one in thumbnails)


def test_the_likely_series_has_the_largest_sum_over_all_of_its_characters(bundle_folder, tmp_path):
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "bundle"))
    rows = json.loads((folder / "characters.json").read_text())
    for row, series in zip(rows, ["", "", "A", "B", "A", "B", "B", ""]):
        row[1] = series
    bundle.write_characters(folder, rows)
    bundle.write_listing(folder, {}, [path.name for path in folder.iterdir() if path.name != bundle.LISTING])
    naming = Naming(bundle.read_bundle(folder), 1)
    for seed in range(20):
        p = np.random.default_rng(seed).dirichlet(np.ones(8)).astype(np.float32)
        sums = {"A": p[2] + p[4], "B": p[3] + p[5] + p[6]}
        found = naming.likely_series(p)
        assert found.name == max(sums, key=sums.get) and found.probability == pytest.approx(sums[found.name], abs=1e-6)
    bundle.write_characters(folder, [[row[0], "", "", 1] for row in rows])
    bundle.write_listing(folder, {}, [path.name for path in folder.iterdir() if path.name != bundle.LISTING])
    assert Naming(bundle.read_bundle(folder), 1).likely_series(p) is None
