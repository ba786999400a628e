import csv
import json

import numpy as np
import pytest

from crystal_eyes.classifiers import fitted
from crystal_eyes.classifiers.fitted import FittedClassifier
from crystal_eyes.classifiers.registry import CLASSIFIERS, create, option_fields, read
from crystal_eyes.errors import UserError

CHARACTERS = np.array(["Zoe", 'a "b", c', "名\n前", "Ami"] * 6)  # names are quoted and ordered
OPTIONS = {"perceptron_epochs": 5, "random_forest_trees": 7, "faiss_neighbors": 3}


def embeddings(seed: int = 0) -> np.ndarray:
    centers = np.random.default_rng(99).normal(size=(4, 8))
    x = np.tile(centers, (6, 1)) + 0.2 * np.random.default_rng(seed).normal(size=(24, 8))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def fit(name: str) -> FittedClassifier:
    return fitted.fit(create(name, OPTIONS, 3), embeddings(), CHARACTERS)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_saved_folder_is_sufficient_to_name_heads(name, tmp_path):
    made = fit(name)
    fitted.write(tmp_path / "classifier", made)
    again = read(tmp_path / "classifier")
    one = again.classifier
    assert (type(one), one.seed, one.named_options()) == (CLASSIFIERS[name], 3, made.classifier.named_options())
    assert again.characters.tolist() == sorted(set(CHARACTERS.tolist()))
    labels, scores = one.top_k(embeddings(1), 1)
    assert (again.characters[labels[:, 0]] == CHARACTERS).mean() > 0.9
    np.testing.assert_array_equal(made.classifier.top_k(embeddings(1), 1)[0], labels)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_equal_inputs_give_equal_bytes(name, tmp_path):
    for folder in ("first", "again"):
        fitted.write(tmp_path / folder, fit(name))
    first, again = ({p.name: p.read_bytes() for p in (tmp_path / folder).iterdir()} for folder in ("first", "again"))
    assert first == again and len(first) >= 3


def test_the_folder_describes_itself(tmp_path):
    fitted.write(tmp_path, fit("tip_adapter"))
    described = json.loads((tmp_path / "classifier.json").read_text())
    assert described["classifier"] == "tip_adapter" and described["seed"] == 3
    assert described["options"].keys() == option_fields("tip_adapter").keys() and described["options"]["perceptron_epochs"] == 5
    with open(tmp_path / "characters.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [["label", "character"], ["0", "Ami"], ["1", "Zoe"], ["2", 'a "b", c'], ["3", "名\n前"]]


@pytest.mark.parametrize("spoil", ["missing", "no json", "unknown", "weights", "characters"])
def test_a_folder_that_holds_no_classifier_is_refused_in_one_line(spoil, tmp_path):
    fitted.write(tmp_path, fit("perceptron"))
    description = tmp_path / "classifier.json"
    if spoil == "missing":
        description.unlink()
    elif spoil == "no json":
        description.write_text("perceptron")
    elif spoil == "unknown":
        description.write_text(description.read_text().replace("perceptron", "oracle"))
    elif spoil == "weights":
        (tmp_path / "linear.safetensors").write_bytes(b"")
    else:
        (tmp_path / "characters.csv").unlink()
    with pytest.raises(UserError, match="is not a fitted classifier") as caught:
        read(tmp_path)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)
