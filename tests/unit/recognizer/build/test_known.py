import numpy as np
import pytest

from crystal_eyes.classifiers.expected_points import ExpectedPoints
from crystal_eyes.classifiers.lda import Lda
from crystal_eyes.classifiers.line_noise import LineNoise
from crystal_eyes.recognizer.build.known import KnownCharacters
from crystal_eyes.recognizer.build.labeled_heads import LabeledHeads
from tests.unit.recognizer.build.made_up import embeddings, heads


def one_head() -> tuple[np.ndarray, LabeledHeads]:
    x = embeddings(["c03"], 5)
    return x, LabeledHeads(x, np.array(["c03"]), np.zeros(1, bool), np.zeros(1, bool))


def test_known_draws_on_means_and_references_of_its_characters(known):
    some = heads(0, 10, 12, seed=1)
    assert known.names.tolist() == [f"c{number:02d}" for number in range(10)]
    assert some.characters[known.references].tolist() == np.repeat(known.names, 3).tolist()
    x, asked = one_head()
    evidence = known.evidence(asked)
    for label, name in enumerate(known.names):
        mean = some.embeddings[some.characters == name].astype(float).mean(axis=0)
        assert evidence.to_means[0, label] == pytest.approx(float(x[0] @ (mean / np.linalg.norm(mean))), abs=2e-3)
    assert evidence.to_gallery[0].tolist() == pytest.approx((some.embeddings[known.references] @ x[0]).tolist(), abs=2e-3)
    np.testing.assert_allclose(evidence.logits, known.classifier.logits(x), atol=1e-5)
    assert known.labels(np.array(["c07", "c00"])).tolist() == [7, 0]


def test_the_figures_are_of_the_numbers_that_the_files_hold(known):
    assert known.means.dtype == known.gallery.dtype == np.float16
    x, asked = one_head()
    np.testing.assert_array_equal(known.evidence(asked).to_means, x @ known.means.astype(np.float32).T)
    np.testing.assert_array_equal(known.evidence(asked).to_gallery, x @ known.gallery.astype(np.float32).T)


def test_line_art_has_logits_of_its_own_learned_from_its_characters_with_three_heads(known):
    """Not from heads of other characters: these serve as unknown ones."""
    some, line = heads(0, 10, 6, seed=1), heads(0, 15, 4, seed=2, line=1.1)
    some = some[(some.characters != "c03") | (np.cumsum(some.characters == "c03") <= 2)]  # two heads
    lda = Lda(Lda.Options(), 0)
    lda.fit(some.embeddings, np.unique(some.characters, return_inverse=True)[1])
    found = KnownCharacters(lda, some.embeddings, some.characters, 3, line)
    means = {name: some.embeddings[some.characters == name].mean(axis=0) for name in found.names}
    used = [row for row, name in enumerate(line.characters) if name in means and name != "c03"]
    residuals = np.stack([line.embeddings[row] - means[line.characters[row]] for row in used])
    noise = LineNoise.fit(found.expected, residuals)
    np.testing.assert_allclose(found.line_noise.matrix, noise.matrix, rtol=1e-3, atol=1e-4)

    asked = heads(0, 10, 3, seed=3, line=0.5)
    counts = np.array([(some.characters == name).sum() for name in found.names])
    own = found.line_noise.logits(asked.embeddings, np.stack([*means.values()]), counts)
    expected = np.where(asked.line[:, None], own, lda.logits(asked.embeddings))
    np.testing.assert_allclose(found.evidence(asked).logits, expected, rtol=5e-3, atol=5e-3)
    np.testing.assert_allclose(found.expected_logits(asked), expected, rtol=5e-3, atol=5e-3)

    for other in (
        KnownCharacters(lda, some.embeddings, some.characters, 3, line[:5]),  # too few heads
        KnownCharacters(known.classifier, some.embeddings, some.characters, 3, line),
    ):  # not the layer of points
        assert other.line_noise is None
        np.testing.assert_array_equal(other.logits(asked), other.classifier.logits(asked.embeddings))


def test_with_degraded_heads_the_layer_is_that_of_how_they_vary(known):
    some, worse = heads(0, 10, 6, seed=1), heads(0, 15, 4, seed=2, line=0, spread=1.5)
    labels = np.unique(some.characters, return_inverse=True)[1]
    lda = Lda(Lda.Options(), 0)
    lda.fit(some.embeddings, labels)
    before = lda.weight.copy()
    found = KnownCharacters(lda, some.embeddings, some.characters, 3, degraded=worse)
    used = worse[worse.characters < "c10"]
    expected = ExpectedPoints.fit(some.embeddings, labels, (used.embeddings, np.searchsorted(found.names, used.characters)))
    scaled = expected.scaled(some.embeddings)
    means, counts = np.stack([scaled[labels == label].mean(axis=0) for label in range(10)]), np.bincount(labels)
    asked = heads(0, 10, 3, seed=3, line=0)
    right = expected.logits(expected.scaled(asked.embeddings), means, counts)
    np.testing.assert_allclose(found.evidence(asked).logits, right, rtol=5e-3, atol=5e-3)
    np.testing.assert_allclose(found.expected_logits(asked), right, rtol=5e-3, atol=5e-3)
    np.testing.assert_array_equal(lda.weight, before)  # others share it

    for other in (
        KnownCharacters(lda, some.embeddings, some.characters, 3, degraded=worse[:5]),  # too few heads
        KnownCharacters(known.classifier, some.embeddings, some.characters, 3, degraded=worse),
    ):  # not the layer of points
        assert not other.expected.one_length
        np.testing.assert_array_equal(other.logits(asked), other.classifier.logits(asked.embeddings))
