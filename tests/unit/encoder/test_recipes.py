import dataclasses

import pytest

from crystal_eyes.encoder.network import backbones
from crystal_eyes.encoder.recipes import RECIPES, filled
from crystal_eyes.errors import UserError
from pipeline.parameters.steps import CLASSIFIERS, Distill, Train

FILLED = {"backbone", "embedding_size", "image_size", "epochs", "drop_connect_rate"}


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_not_said_is_the_recipes(name):
    config, recipe = filled(Train(recipe=name)), RECIPES[name]
    for field in FILLED:
        assert getattr(config, field) == getattr(recipe, field)
    assert config.backbone in backbones() and recipe.classifier in CLASSIFIERS


def test_what_is_said_counts():
    said = Train(recipe="2020", backbone="mnasnet_small", embedding_size=16, image_size=64, epochs=1, drop_connect_rate=0.1)
    assert filled(said) == said
    assert filled(Train(recipe="best", drop_connect_rate=0.0)).drop_connect_rate == 0


def test_all_else_stays_as_it_was():
    before, after = (dataclasses.asdict(config) for config in (Train(seed=5), filled(Train(seed=5))))
    assert {key for key in before if before[key] != after[key]} == FILLED


def test_a_step_is_given_only_what_it_has():
    assert filled(Distill(recipe="best")).distill_epochs == RECIPES["best"].distill_epochs
    assert filled(Distill(recipe="best", distill_epochs=0)).distill_epochs == 0


def test_a_side_too_small_for_any_backbone_is_refused():
    with pytest.raises(UserError, match="image_size=31: the least is 32"):
        filled(Train(image_size=31))


def test_a_rate_below_nothing_is_refused():
    with pytest.raises(UserError, match="drop_connect_rate=-0.5: the least is 0"):
        filled(Train(drop_connect_rate=-0.5))


def test_an_embedding_of_one_number_is_refused():
    with pytest.raises(UserError, match="embedding_size=1: the least is 8"):
        filled(Train(embedding_size=1))
