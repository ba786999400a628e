import dataclasses

import pytest
import torch

from crystal_eyes.encoder.losses import Objective
from crystal_eyes.encoder.recipes import RECIPES


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.nn.functional.normalize(torch.randn(12, 8), dim=1), torch.arange(12) % 4


def objective(arcface: float) -> Objective:
    torch.manual_seed(1)
    return Objective(dataclasses.replace(RECIPES["best"], arcface=arcface), 6, 8)


def test_without_arcface_there_is_nothing_to_learn():
    assert not list(objective(0.0).parameters()) and list(objective(0.2).parameters())


def test_arcface_is_added_with_its_weight():
    pairs, little, much = (objective(weight)(*batch()).item() for weight in (0.0, 0.1, 1.0))
    assert much - pairs == pytest.approx(10 * (little - pairs), rel=1e-3)


def test_characters_that_lie_together_cost_less():
    apart, labels = batch()
    together = torch.nn.functional.normalize(torch.eye(8)[labels] + 0.01 * apart, dim=1)
    assert objective(0.0)(together, labels) < objective(0.0)(apart, labels)


def test_with_arcface_heads_at_a_centre_of_their_own_character_cost_less():
    _, labels = batch()
    one = objective(0.2)
    centres = torch.nn.functional.normalize(one.centres.W.detach().T.reshape(6, 3, 8), dim=2)
    own, others = centres[labels, 1], centres[(labels + 1) % 4, 1]
    assert one(own, labels) < one(others, labels)


def test_both_recipes_have_an_objective():
    for recipe in RECIPES.values():
        assert torch.isfinite(Objective(recipe, 6, 8)(*batch()))
