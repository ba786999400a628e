import numpy as np
import pytest

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
