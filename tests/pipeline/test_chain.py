"""Which parameters the chain gives to which step."""

from dataclasses import dataclass, field

import pytest

from crystal_eyes.encoder.recipes import RECIPES
from crystal_eyes.errors import UserError
from pipeline.chain import Main, run_chain
from pipeline.get_or_run import label
from pipeline.parameters.declare import parse
from pipeline.parameters.steps import CLASSIFIERS, STEPS


@dataclass
class Told:
    """A runner that notes what each step is given."""

    steps: dict[str, dict] = field(default_factory=dict)
    last: str = ""

    def __call__(self, entry_point, parameters):
        self.steps[label(entry_point, parameters)] = parameters
        return Told(self.steps, label(entry_point, parameters))

    def output(self, name: str) -> str:
        return f"pending:/{self.last}/{name}"


def told(*arguments: str) -> dict[str, dict]:
    runner = Told()
    run_chain(parse(Main, ["--dataset", "heads", *arguments]), runner)
    return runner.steps


def own(parameters: dict) -> set[str]:
    """Those parameters that belong to one classifier."""
    return {name for name in parameters if name.startswith(CLASSIFIERS)}


def test_every_step_is_given_parameters_that_it_has():
    steps = told()
    assert {name.split()[0] for name in steps} == set(STEPS) - {"detector", "crop", "evaluate"}
    for name, parameters in steps.items():
        assert set(parameters) <= set(STEPS[name.split()[0]].__dataclass_fields__)


def test_a_classifier_is_given_its_own_parameters_and_those_of_what_it_is_built_on():
    steps = told()
    perceptron = {"perceptron_epochs", "perceptron_learning_rate"}
    assert own(steps["classify perceptron"]) == perceptron
    assert own(steps["classify tip_adapter"]) == perceptron | {"tip_adapter_alpha", "tip_adapter_beta"}
    assert own(steps["classify ridge"]) == {"ridge_alpha"}
    assert own(steps["classify logistic_regression"]) == {"logistic_regression_c"}
    assert own(steps["classify lda"]) == set()


@pytest.mark.parametrize(("recipe", "classifier"), [("best", "logistic_regression"), ("2020", "perceptron")])
def test_the_bundle_is_given_the_parameters_of_the_recipes_classifier(recipe, classifier):
    assert {name.startswith(classifier) for name in own(told("--recipe", recipe)["bundle"])} == {True}


@pytest.mark.parametrize("name", RECIPES)
def test_train_is_given_the_recipes_values_so_that_saying_them_is_no_other_training(name):
    recipe = RECIPES[name]
    silent = told("--recipe", name)["train"]
    assert silent["backbone"] == recipe.backbone and silent["image_size"] == recipe.image_size
    assert silent == told("--recipe", name, "--epochs", str(recipe.epochs), "--backbone", recipe.backbone)["train"]
    assert told("--recipe", name, "--epochs", "7")["train"]["epochs"] == 7


def test_a_size_that_is_too_small_is_found_before_anything_runs():
    runner = Told()
    with pytest.raises(UserError, match="image_size=8: the least is 32"):
        run_chain(parse(Main, ["--dataset", "heads", "--image_size", "8"]), runner)
    assert runner.steps == {}


def test_best_trains_two_seeds_and_goes_on_with_what_both_know():
    steps = told("--seed", "4")
    first, second, distill = steps["train seed 4"], steps["train seed 5"], steps["distill"]
    assert second == first | {"seed": 5}
    assert distill["encoder"] == "pending:/train seed 4/encoder" and distill["other"] == "pending:/train seed 5/encoder"
    assert distill["distill_epochs"] == RECIPES["best"].distill_epochs and distill["seed"] == 4
    assert steps["export"]["encoder"] == "pending:/distill/encoder"


@pytest.mark.parametrize("arguments", [("--recipe", "2020"), ("--distill_epochs", "0")])
def test_without_epochs_to_distil_one_encoder_is_trained(arguments):
    steps = told(*arguments)
    assert "distill" not in steps and [name for name in steps if name.startswith("train")] == ["train"]
    assert steps["export"]["encoder"] == "pending:/train/encoder"
