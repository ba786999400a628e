import dataclasses

import pytest

from crystal_eyes.classifiers.registry import CLASSIFIERS
from crystal_eyes.encoder.network import backbones
from crystal_eyes.errors import UserError
from pipeline.parameters.declare import parse
from pipeline.parameters.entry_points import LINEAR
from pipeline.parameters.recipes import RECIPES
from pipeline.parameters.steps import Distill, Train

FROM_RECIPE = {"backbone", "embedding_size", "image_size", "epochs", "drop_connect_rate", "weights"}


@pytest.mark.parametrize("name", RECIPES)
def test_empty_parameters_take_the_recipes_values(name):
    resolved, recipe = Train(recipe=name).resolved(), RECIPES[name]
    for field in FROM_RECIPE:
        assert getattr(resolved, field) == getattr(recipe, field)
    assert resolved.backbone in backbones() and recipe.classifier in LINEAR and recipe.classifier in CLASSIFIERS
    assert Distill(recipe=name).resolved().distill_epochs == recipe.distill_epochs


def test_a_given_value_overrides_the_recipe_and_0_is_a_value():
    own = {"backbone": "mnasnet_small", "embedding_size": 16, "image_size": 64, "epochs": 1, "drop_connect_rate": 0.1}
    given = Train(recipe="2020", weights="none", **own)
    assert given.resolved() == given
    assert Train(recipe="best", drop_connect_rate=0.0).resolved().drop_connect_rate == 0
    assert Distill(recipe="best", distill_epochs=0).resolved().distill_epochs == 0


def test_empty_text_means_the_recipes_value():
    assert parse(Train, ["--epochs", "", "--backbone", ""]) == Train()
    with pytest.raises(UserError, match="epochs=0: out of range, give from 1"):
        parse(Train, ["--epochs", "0"])
    with pytest.raises(UserError, match="image_size=8: out of range, give from 32"):
        parse(Train, ["--image_size", "8"])


def test_every_value_of_a_recipe_reaches_the_options():
    train = Train().resolved()
    recipe = RECIPES[train.recipe]
    options = train.options()
    for field in dataclasses.fields(options):
        if field.name == "until":  # for benchmarks/gpu alone
            continue
        expected = getattr(train, field.name) if hasattr(train, field.name) else getattr(recipe, field.name)
        assert getattr(options, field.name) == expected
    distillation = Distill().resolved().options()
    assert (distillation.side_share, distillation.views) == (recipe.side_shares[-1], recipe.views)
    assert distillation.epochs == recipe.distill_epochs


def test_a_recipe_counts_by_its_values_not_by_its_name():
    """Giving a recipe's values explicitly is the same training run; another recipe with other values is not."""
    best = RECIPES["best"]
    named = {field: getattr(best, field) for field in FROM_RECIPE}
    assert Train(**named).resolved().key_values() == Train().resolved().key_values()
    assert Train(recipe="2020", **named).resolved().key_values() != Train().resolved().key_values()
