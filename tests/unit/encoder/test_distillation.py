import copy
import dataclasses

import numpy as np
import pytest
import torch

from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder import distillation
from crystal_eyes.encoder.checkpoint import load_checkpoint
from crystal_eyes.encoder.distillation import (
    BLENDED,
    Distillation,
    blend,
    distill_encoder,
    embeddings_from_features,
)
from crystal_eyes.encoder.linear_fits import fit_linear_layer, principal_directions
from crystal_eyes.encoder.network import Encoder
from crystal_eyes.encoder.options import DistillationOptions
from tests.unit.encoder.test_loop import Stop, same_weights, what_was_learned

OPTIONS = DistillationOptions(epochs=3, side_share=5 / 6, views="light", batch_size=8, weight_decay=1e-2, refit=False)
RNG = np.random.default_rng(0)


def distilled(teachers, folder, workspace, told, **changes) -> tuple[Encoder, int]:
    options = dataclasses.replace(OPTIONS, **changes)
    return distill_encoder(copy.deepcopy(teachers), Catalogue(folder), options, workspace, told)


@pytest.fixture(scope="module")
def teachers(make_encoder) -> list[Encoder]:
    return [make_encoder(seed=seed, drop_connect_rate=0.2).eval() for seed in (0, 1)]


@pytest.fixture(scope="module")
def finished(teachers, catalogue_folder, tmp_path_factory):
    """(student, best epoch, history, workspace)"""
    told, workspace = Stop(), tmp_path_factory.mktemp("distilled")
    student, best = distilled(teachers, catalogue_folder, workspace, told, epochs=6)
    return student, best, told.history, workspace


def pictures(count: int = 16, side: int = 32) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(0, 256, (count, side, side, 3), dtype=np.uint8))


def test_the_principal_directions_are_those_of_a_singular_value_decomposition():
    values = RNG.normal(size=(50, 6)) * [9, 1, 7, 2, 5, 3]
    found = principal_directions(values, 3)
    expected = np.linalg.svd(values)[2][:3].T
    np.testing.assert_allclose(np.abs(np.sum(found * expected, axis=0)), 1, atol=1e-6)


def test_all_directions_together_preserve_angles():
    values = RNG.normal(size=(20, 5))
    turned = values @ principal_directions(values, 5)
    np.testing.assert_allclose(turned @ turned.T, values @ values.T, atol=1e-9)


def test_the_fitted_layer_is_close_to_the_one_that_made_the_values():
    features = RNG.normal(size=(400, 7)) + 3
    weight, bias = RNG.normal(size=(4, 7)), RNG.normal(size=4)
    found, middle = fit_linear_layer(features, features @ weight.T + bias)
    np.testing.assert_allclose(found, weight, atol=0.05)
    np.testing.assert_allclose(features @ found.T + middle, features @ weight.T + bias, atol=0.3)


def test_a_layer_can_be_fitted_to_fewer_heads_than_features():
    weight, bias = fit_linear_layer(RNG.normal(size=(5, 40)), RNG.normal(size=(5, 3)))
    assert weight.shape == (3, 40) and np.isfinite(weight).all() and np.isfinite(bias).all()


def test_about_half_of_the_views_are_blends_and_every_blend_lies_between_two_of_them():
    torch.manual_seed(0)
    given = pictures(400, 4)
    found = blend(given)
    same = (found == given).flatten(1).all(dim=1)
    assert 0.4 < same.float().mean() < 0.6 and found.dtype == torch.float32
    for row in torch.nonzero(~same)[:20, 0]:
        apart, others = found[row] - given[row], given.float() - given[row]
        # a step towards one other view: the same share of the way in every pixel and channel
        shares = (apart * others).flatten(1).sum(1) / (others**2).flatten(1).sum(1).clamp(min=1e-9)
        off = (apart - shares[:, None, None, None] * others).flatten(1).abs().amax(1)
        assert off.min() < 0.01 and 0 < shares[off.argmin()] < 1


def test_joint_similarities_are_the_mean_of_the_encoders_similarities(teachers):
    length = 2 * teachers[0].description.embedding_size
    together = Distillation(teachers, np.eye(length), 8, 4).joint_embedding(pictures())
    with torch.no_grad():
        alone = [teacher(pictures()) for teacher in teachers]
    mean = (alone[0] @ alone[0].T + alone[1] @ alone[1].T) / 2
    torch.testing.assert_close(together @ together.T, mean, atol=1e-5, rtol=0)


def test_embeddings_of_features_are_the_encoders(teachers):
    with torch.no_grad():
        found = embeddings_from_features(teachers[0], teachers[0].features(pictures()).numpy())
        np.testing.assert_allclose(found, teachers[0](pictures()).numpy(), atol=1e-5)


def test_a_student_comes_nearer_to_the_ensemble_epoch_by_epoch(finished, teachers):
    student, best, history, _ = finished
    assert len(history) == 6 and 1 <= best <= 6
    assert history[-1]["loss"] < 0.95 * history[0]["loss"]
    assert not student.training and student.description.embedding_size == teachers[0].description.embedding_size
    assert student.description.drop_connect_rate == 0


def test_the_teachers_stay_as_they_were_and_are_in_no_checkpoint(finished, teachers, catalogue_folder, tmp_path):
    given = copy.deepcopy(teachers)
    distill_encoder(given, Catalogue(catalogue_folder), dataclasses.replace(OPTIONS, epochs=1), tmp_path, Stop())
    assert all(same_weights(one, other) for one, other in zip(given, teachers))
    tensors, _ = load_checkpoint(finished[3] / "checkpoint")
    assert [name for name in tensors if name.startswith("task.")] == ["task.projection"]


def test_the_student_starts_as_the_first_with_the_layer_that_is_fitted(teachers, catalogue_folder, tmp_path, monkeypatch):
    layer = teachers[0].backbone.classifier
    fitted = [np.full(tuple(tensor.shape), 0.5) for tensor in (layer.weight, layer.bias)]
    monkeypatch.setattr(distillation, "fit_linear_layer", lambda features, wanted: fitted)
    student, _ = distilled(teachers, catalogue_folder, tmp_path, Stop(), epochs=1, learning_rate=1e-7)
    for name, value in student.named_parameters():
        expected = torch.full_like(value, 0.5) if "classifier" in name else teachers[0].get_parameter(name)
        torch.testing.assert_close(value, expected, atol=1e-5, rtol=0)


def shown_to(framed: torch.Tensor, views: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The views of these that teacher and student see."""
    seen = {}

    class Watched(torch.nn.Module):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def forward(self, given):
            seen[self.name] = given
            return torch.nn.functional.normalize(torch.ones(len(given), 4), dim=1)

    torch.manual_seed(0)
    task = Distillation([Watched("teacher")], np.eye(4), 8, 4)
    assert task(Watched("student"), torch.stack([framed, views], dim=1), np.zeros(0)).item() == pytest.approx(0, abs=1e-6)
    return seen["teacher"], seen["student"]


def alike(some: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    return torch.isclose(some, others.float(), atol=1e-3).flatten(1).all(dim=1)


def test_teachers_and_student_see_the_same_views_and_the_teachers_half_of_them_mirrored():
    views = pictures(200, 6)
    teacher, student = shown_to(255 - views, views)
    mirrored = alike(teacher, student.flip(2))
    assert (alike(teacher, student) | mirrored).all() and 0.4 < mirrored.float().mean() < 0.6
    assert abs(1 - BLENDED - alike(student, views).float().mean()) < 0.1


def test_the_teachers_see_the_colored_heads_that_colorless_views_were_made_of():
    framed = pictures(200, 6)
    sketched = torch.arange(200) < 100
    views = torch.where(sketched.view(-1, 1, 1, 1), framed[..., :1], framed)
    teacher, student = shown_to(framed, views)
    whole = alike(student, views)
    assert (alike(teacher, framed) | alike(teacher, framed.flip(2)))[whole].all() and whole[sketched].any()
    # the first channel is the same in both: blends are of the same heads, by the same parts
    assert (alike(teacher[..., :1], student[..., :1]) | alike(teacher[..., :1], student[..., :1].flip(2))).all()


def test_a_resumed_distillation_keeps_its_first_directions(teachers, catalogue_folder, tmp_path, monkeypatch):
    """Another machine may find other directions that are equally good."""
    whole, told = Stop(), Stop()
    distilled(teachers, catalogue_folder, tmp_path / "whole", whole)
    with pytest.raises(KeyboardInterrupt):
        distilled(teachers, catalogue_folder, tmp_path / "broken", Stop(after=1))
    monkeypatch.setattr(distillation, "principal_directions", lambda values, count: -principal_directions(values, count))
    distilled(teachers, catalogue_folder, tmp_path / "broken", told)
    assert what_was_learned(told.history) == what_was_learned(whole.history)


def test_an_interrupted_distillation_continues_bit_for_bit(teachers, catalogue_folder, tmp_path):
    whole, told = Stop(), Stop()
    expected, best = distilled(teachers, catalogue_folder, tmp_path / "whole", whole)
    with pytest.raises(KeyboardInterrupt):
        distilled(teachers, catalogue_folder, tmp_path / "broken", Stop(after=1))
    student, again = distilled(teachers, catalogue_folder, tmp_path / "broken", told)
    assert again == best and told.epochs == [1, 2, 3]
    assert what_was_learned(told.history) == what_was_learned(whole.history)
    assert same_weights(student, expected)
