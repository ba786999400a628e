import pytest
import torch

from crystal_eyes.encoder.losses import EncoderLoss


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.nn.functional.normalize(torch.randn(12, 8), dim=1), torch.arange(12) % 4


def loss(arcface_weight: float) -> EncoderLoss:
    torch.manual_seed(1)
    return EncoderLoss(arcface_weight, 6, 8)


def test_without_arcface_there_is_nothing_to_learn():
    assert not list(loss(0.0).parameters()) and list(loss(0.2).parameters())


def test_arcface_is_added_with_its_weight():
    pairs, little, much = (loss(weight)(*batch()).item() for weight in (0.0, 0.1, 1.0))
    assert much - pairs == pytest.approx(10 * (little - pairs), rel=1e-3)


def test_characters_that_lie_together_cost_less():
    apart, labels = batch()
    together = torch.nn.functional.normalize(torch.eye(8)[labels] + 0.01 * apart, dim=1)
    assert loss(0.0)(together, labels) < loss(0.0)(apart, labels)


def test_with_arcface_heads_at_a_center_of_their_own_character_cost_less():
    _, labels = batch()
    one = loss(0.2)
    centers = torch.nn.functional.normalize(one.centers.W.detach().T.reshape(6, 3, 8), dim=2)
    own, others = centers[labels, 1], centers[(labels + 1) % 4, 1]
    assert one(own, labels) < one(others, labels)
