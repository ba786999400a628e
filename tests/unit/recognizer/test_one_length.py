"""Bundles that scale embeddings by their expected points, and those that do not."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from crystal_eyes.recognizer import bundle
from crystal_eyes.recognizer.bundle import read_bundle
from crystal_eyes.recognizer.enrollment import enroll
from crystal_eyes.recognizer.naming import Naming
from tests.bundles import add_line_noise, bring_to_one_length
from tests.unit.recognizer.test_line_noise import LINE, in_folders_and_stored, pictures, require_same_answer, unit


@pytest.fixture
def folder(bundle_folder, tmp_path) -> Path:
    """A bundle with an enrolled character."""
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "bundle"))
    bring_to_one_length(folder)
    enroll(folder, "Nova", "S", pictures(tmp_path / "nova", 20), head=True)
    return folder


def test_logits_are_those_of_scaled_heads_and_cosines_those_of_heads(folder, bundle_folder):
    x, naming = unit(), Naming(read_bundle(folder), 1)
    matrix, ratios, center = np.split(np.load(folder / bundle.EXPECTED).astype(float), [16, 17])

    def scaled(heads: np.ndarray) -> np.ndarray:
        lengths = np.linalg.norm((heads - center) @ matrix, axis=1, keepdims=True)
        return center + (heads - center) * np.sqrt(16 + ratios.sum()) / lengths

    session = onnxruntime.InferenceSession(folder / bundle.CLASSIFIER)
    trained = session.run(None, {"embeddings": scaled(x).astype(np.float32)})[0]
    mean = scaled(np.load(read_bundle(folder).enrolled[0] / "gallery.npy").astype(float)).mean(axis=0)
    point = ((mean - center) @ matrix * 3 * ratios / (3 * ratios + 1))[0]
    line = read_bundle(folder).json(bundle.CALIBRATION)["enrolled_points"]
    own = ((scaled(x) - center) @ matrix @ point - point @ point / 2) / 20
    found, plain = (one.evidence(x, np.zeros(6, bool)) for one in (naming, Naming(read_bundle(bundle_folder), 1)))
    np.testing.assert_allclose(found.logits[:, :-1], trained, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(found.logits[:, -1], line["slope"] * own + line["intercept"], rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(found.to_means[:, :-1], plain.to_means, atol=1e-6)
    assert not np.allclose(found.logits[:, :-1], plain.logits, atol=0.1)


@pytest.mark.parametrize("line_noise", [False, True])
def test_stored_characters_get_the_answers_of_those_in_folders(folder, tmp_path, monkeypatch, line_noise):
    if line_noise:
        add_line_noise(folder)
    both = in_folders_and_stored(folder, tmp_path, monkeypatch)
    for number, mode in ((9, "RGB"), (11, "L"), (3, "RGB")):
        (path, *_) = pictures(tmp_path / f"asked {number}", number, mode)
        require_same_answer(both, path)


def test_gray_heads_are_scaled_first(folder):
    plain = Naming(read_bundle(folder), 1).evidence(unit(), LINE).logits
    add_line_noise(folder)
    naming = Naming(read_bundle(folder), 1)
    found = naming.evidence(unit(), LINE).logits
    np.testing.assert_allclose(found[~LINE], plain[~LINE], atol=1e-6)
    expected = naming.enrolled_logits.line_noise.adapted(naming.enrolled_logits.scaled(unit()))
    session = onnxruntime.InferenceSession(folder / bundle.CLASSIFIER)
    changes = json.loads((folder / bundle.CALIBRATION).read_text("utf-8"))["line_bias_changes"]
    trained = session.run(None, {"embeddings": expected.astype(np.float32)})[0] + np.array(changes)
    np.testing.assert_allclose(found[LINE, :-1], trained[LINE], rtol=1e-4, atol=1e-4)
