import dataclasses

import pytest

from crystal_eyes.config import CLASSIFIERS, Train
from crystal_eyes.encoder import backbones
from crystal_eyes.errors import UserError
from crystal_eyes.recipes import RECIPES, filled


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_not_said_is_the_recipes(name):
    config, recipe = filled(Train(recipe=name)), RECIPES[name]
    for field in ("backbone", "embedding_size", "image_size", "epochs"):
        assert getattr(config, field) == getattr(recipe, field)
    assert config.backbone in backbones() and recipe.classifier in CLASSIFIERS


def test_what_is_said_counts():
    said = Train(recipe="2020", backbone="mnasnet_small", embedding_size=16, image_size=64, epochs=1, batch_size=8)
    assert filled(said) == said


def test_all_else_stays_as_it_was():
    before, after = (dataclasses.asdict(config) for config in (Train(seed=5), filled(Train(seed=5))))
    assert {key for key in before if before[key] != after[key]} == {"backbone", "embedding_size", "image_size", "epochs"}


def test_a_side_too_small_for_any_backbone_is_refused():
    with pytest.raises(UserError, match="image_size=31: the least is 32"):
        filled(Train(image_size=31))


def test_an_embedding_of_one_number_is_refused():
    with pytest.raises(UserError, match="embedding_size=1: the least is 2"):
        filled(Train(embedding_size=1))
