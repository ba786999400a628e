import dataclasses
import subprocess
import sys

import pytest

from crystal_eyes.classifiers.linear import Linear
from crystal_eyes.classifiers.registry import CLASSIFIERS, LINEAR, create, option_fields
from tests.runs import ROOT

HEAVY = ("torch", "faiss", "sklearn", "skops", "onnx", "scipy", "pandas")


def test_reading_the_options_loads_no_large_library():
    code = f"""
import sys
from crystal_eyes.classifiers.registry import CLASSIFIERS, option_fields
assert all(isinstance(option_fields(name), dict) for name in CLASSIFIERS)
print(*sorted(set({HEAVY}) & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_the_options_are_named_after_the_classifier_and_each_says_what_it_is():
    names = [name for classifier in CLASSIFIERS for name in option_fields(classifier)]
    assert set(names) == {
        "perceptron_epochs", "perceptron_learning_rate", "faiss_neighbors", "ridge_alpha", "logistic_regression_c",
        "tip_adapter_alpha", "tip_adapter_beta", "linear_svc_c", "k_neighbors_k", "random_forest_trees",
    }  # fmt: skip
    for classifier in CLASSIFIERS:
        for field in option_fields(classifier).values():
            low, high = field.metadata["low"], field.metadata["high"]
            assert (
                field.metadata["help"] and low <= field.default <= high and type(field.default).__name__ == field.type.__name__
            )


def test_a_classifier_takes_the_options_of_the_one_it_is_built_on():
    assert list(option_fields("tip_adapter")) == [
        "tip_adapter_alpha", "tip_adapter_beta", "perceptron_epochs", "perceptron_learning_rate"
    ]  # fmt: skip
    made = create("tip_adapter", {"tip_adapter_beta": 2.0, "perceptron_epochs": 3, "ridge_alpha": 9.0}, seed=4)
    assert made.options == CLASSIFIERS["tip_adapter"].Options(beta=2.0)
    assert made.named_options() == {
        "tip_adapter_alpha": 1.0, "tip_adapter_beta": 2.0, "perceptron_epochs": 3, "perceptron_learning_rate": 0.01
    }  # fmt: skip
    assert made.base.options == CLASSIFIERS["perceptron"].Options(epochs=3) and made.base.seed == made.seed == 4


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_options_are_frozen_and_have_defaults(name):
    options = CLASSIFIERS[name].Options()
    assert dataclasses.is_dataclass(options) and create(name, {}, 0).options == options
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.epochs = 1


def test_it_is_known_which_classifiers_a_bundle_can_hold():
    assert LINEAR == ("perceptron", "lda", "ridge", "logistic_regression")
    assert all(issubclass(CLASSIFIERS[name], Linear) == (name in LINEAR) for name in CLASSIFIERS)
