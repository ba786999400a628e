"""Which parameters the chain gives to which step."""

import dataclasses
from dataclasses import dataclass, field

import pytest

from crystal_eyes.classifiers.registry import CLASSIFIERS
from crystal_eyes.errors import UserError
from pipeline.chain import HEAD_DETECTOR, run_chain
from pipeline.get_or_run import label
from pipeline.parameters.entry_points import Main
from pipeline.parameters.recipes import RECIPES
from pipeline.parameters.steps import STEPS


@dataclass
class Recorder:
    """A runner that records what each step is given, without running it."""

    steps: dict[str, dict] = field(default_factory=dict)
    last: str = ""

    def __call__(self, entry_point, parameters):
        self.steps[label(entry_point, parameters)] = parameters
        return Recorder(self.steps, label(entry_point, parameters))

    def output(self, name: str) -> str:
        return f"pending:/{self.last}/{name}"


def given(*arguments: str) -> dict[str, dict]:
    """The parameters of each step that main would run with this command line."""
    recorder = Recorder()
    run_chain(Main.parse(["--dataset", "heads", *arguments]), recorder)
    return recorder.steps


def classifier_options(parameters: dict) -> set[str]:
    """Those parameters that are options of one classifier."""
    return {name for name in parameters if name.startswith(tuple(CLASSIFIERS))}


def test_every_step_is_given_parameters_that_it_has():
    steps = given()
    assert {name.split()[0] for name in steps} == set(STEPS) - {"detector", "crop", "audit"}
    for name, parameters in steps.items():
        assert set(parameters) <= {field.name for field in dataclasses.fields(STEPS[name.split()[0]])}


def test_the_audit_looks_at_what_the_user_gave():
    assert given("--audit", "true", "--confidence", "0.5")["audit"] == {"dataset": "heads", "confidence": 0.5}
    recorder = Recorder()
    whole = ["--illustrations", "pictures", "--detector", str(HEAD_DETECTOR), "--audit", "true"]
    run_chain(Main.parse(whole), recorder)
    assert recorder.steps["audit"]["dataset"] == "pictures" and next(iter(recorder.steps)) == "audit"
    with pytest.raises(UserError, match="needs dataset or illustrations"):
        run_chain(Main.parse(["--audit", "true"]), Recorder())


def test_every_step_is_given_every_input_that_it_needs():
    for name, parameters in given().items():
        for field_ in dataclasses.fields(STEPS[name.split()[0]]):
            if field_.metadata["input"] and not field_.metadata["optional"] and not field_.default:
                assert parameters[field_.name], f"{field_.name} of {name}"


def test_a_classifier_is_given_its_own_options_and_those_of_what_it_is_built_on():
    steps = given()
    perceptron = {"perceptron_epochs", "perceptron_learning_rate"}
    assert classifier_options(steps["classify perceptron"]) == perceptron
    assert classifier_options(steps["classify tip_adapter"]) == perceptron | {"tip_adapter_alpha", "tip_adapter_beta"}
    assert classifier_options(steps["classify ridge"]) == {"ridge_alpha"}
    assert classifier_options(steps["classify logistic_regression"]) == {"logistic_regression_c"}
    assert classifier_options(steps["classify lda"]) == set()


@pytest.mark.parametrize(
    ("arguments", "naming"),
    [
        ((), "logistic_regression"), (("--recipe", "2020"), "perceptron"), (("--naming", "perceptron"), "perceptron"),
        (("--naming", "ridge", "--classifiers", "faiss"), "ridge"),
    ],
)  # fmt: skip
def test_the_bundle_takes_the_classifier_that_names_and_it_is_fitted_once(arguments, naming):
    steps = given(*arguments)
    assert steps["bundle"]["classifier"] == f"pending:/classify {naming}/classifier"
    assert f"classify {naming}" in steps and classifier_options(steps["bundle"]) <= {"classifier"}


def test_only_linear_classifiers_can_name():
    with pytest.raises(UserError, match="naming=faiss: choose one of .*perceptron"):
        given("--naming", "faiss")


def test_the_bundle_is_evaluated_at_the_end():
    steps = given()
    assert list(steps)[-1] == "evaluate"
    assert steps["evaluate"] == {"bundle": "pending:/bundle/bundle", "catalogue": "pending:/prepare/catalogue"}


@pytest.mark.parametrize("name", RECIPES)
def test_train_is_given_the_recipes_values_so_that_stating_them_is_no_other_training(name):
    recipe = RECIPES[name]
    silent = given("--recipe", name)["train"]
    assert silent["backbone"] == recipe.backbone and silent["image_size"] == recipe.image_size
    assert silent == given("--recipe", name, "--epochs", str(recipe.epochs), "--backbone", recipe.backbone)["train"]
    assert given("--recipe", name, "--epochs", "7")["train"]["epochs"] == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--image_size", "8"), "image_size=8: out of range"),
        (("--classifiers", "oracle"), "classifiers=oracle: choose one or more of"),
        (("--illustrations", "pictures"), "dataset and illustrations are both given"),
        (("--detector", "no/such/detector"), "no/such/detector does not exist"),
        (("--processes", "2"), "processes need engine=torchrun"),
    ],
)
def test_a_mistake_is_found_before_anything_runs(arguments, message):
    recorder = Recorder()
    with pytest.raises(UserError, match=message):
        run_chain(Main.parse(["--dataset", "heads", *arguments]), recorder)
    assert recorder.steps == {}


def test_best_trains_two_seeds_and_goes_on_with_what_is_distilled_from_both():
    steps = given("--seed", "4")
    first, second, distill = steps["train seed 4"], steps["train seed 5"], steps["distill"]
    assert second == first | {"seed": 5}
    assert distill["encoder"] == "pending:/train seed 4/encoder" and distill["other"] == "pending:/train seed 5/encoder"
    assert distill["distill_epochs"] == RECIPES["best"].distill_epochs and distill["seed"] == 4
    assert steps["export"]["encoder"] == "pending:/distill/encoder"


def test_large_distills_three():
    steps = given("--recipe", "large", "--seed", "4")
    assert [name for name in steps if name.startswith("train")] == ["train seed 4", "train seed 5", "train seed 6"]
    teachers = [steps["distill"][name] for name in ("encoder", "other", "third")]
    assert teachers == [f"pending:/train seed {seed}/encoder" for seed in (4, 5, 6)]


@pytest.mark.parametrize("arguments", [("--recipe", "2020"), ("--distill_epochs", "0")])
def test_without_epochs_to_distill_one_encoder_is_trained(arguments):
    steps = given(*arguments)
    assert "distill" not in steps and [name for name in steps if name.startswith("train")] == ["train"]
    assert steps["export"]["encoder"] == "pending:/train/encoder"
