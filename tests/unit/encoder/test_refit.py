import copy

import numpy as np
import pytest
import torch

from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder.linear_fits import fit_linear_layer
from crystal_eyes.encoder.network import ROOTED
from crystal_eyes.encoder.onnx_export import export_onnx, largest_difference
from crystal_eyes.encoder.refit import embedding_targets, refit_embedding_layer
from crystal_eyes.evaluation.retrieval import retrieval


def heads_of(names: int, each: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of heads: what distinguishes characters lies in 12 of 60 directions, what changes within one in 6 others."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(names), each)
    spread = np.r_[np.full(12, 0.8), np.full(6, 5.0), np.full(42, 0.5)]
    centers = rng.normal(size=(names, 60)) * np.r_[np.ones(12), np.zeros(48)]
    return (centers[labels] + rng.normal(size=(len(labels), 60)) * spread).astype(np.float32), labels


def unit(values: np.ndarray) -> np.ndarray:
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def test_characters_that_the_layer_was_not_fitted_on_are_found_better():
    known, labels = heads_of(60, 6, 0)
    weight, bias = fit_linear_layer(known, embedding_targets(known, labels, 24))
    unseen, names = heads_of(30, 6, 1)

    def score(embeddings: np.ndarray) -> float:
        return retrieval(unit(embeddings), names)["map_at_r"]

    assert score(unseen @ weight.T + bias) > score(unseen) + 0.2


def test_targets_have_unit_length_and_lie_nearer_to_those_of_the_same_character():
    def cohesion(names: int) -> float:
        features, labels = heads_of(names, 5, 0)
        targets = embedding_targets(features, labels, 16)
        np.testing.assert_allclose(np.linalg.norm(targets, axis=1), 1)
        similar, same = targets @ targets.T, labels[:, None] == labels
        return similar[same].mean() - similar[~same].mean()

    assert cohesion(600) > cohesion(30) + 0.05 > 0.3  # the more characters, the nearer


@pytest.mark.parametrize(("names", "each", "size"), [(2, 1, 8), (3, 2, 100), (1, 4, 8)])
def test_few_heads_and_long_embeddings_are_no_failure(names, each, size):
    features, labels = heads_of(names, each, 0)
    targets = embedding_targets(features, labels, size)
    assert targets.shape == (names * each, size) and np.isfinite(targets).all()


def test_only_the_embedding_layer_changes_and_the_encoder_can_be_exported(make_encoder, catalogue_folder, tmp_path):
    encoder, catalogue = make_encoder().eval(), Catalogue(catalogue_folder)
    before = copy.deepcopy(encoder)
    refit_embedding_layer(encoder, catalogue, catalogue.table())
    assert encoder.description.pooling == ROOTED
    kept = {name: value for name, value in before.state_dict().items() if "classifier" not in name}
    assert all(torch.equal(value, encoder.state_dict()[name]) for name, value in kept.items())
    again = copy.deepcopy(before)
    refit_embedding_layer(again, catalogue, catalogue.table())
    refit_embedding_layer(again, catalogue, catalogue.table())  # of an encoder that has been fitted already: the same
    torch.testing.assert_close(again.embedding_layer.weight, encoder.embedding_layer.weight)
    export_onnx(encoder, tmp_path / "encoder.onnx")
    heads = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    assert largest_difference(encoder, tmp_path / "encoder.onnx", heads) < 1e-4
