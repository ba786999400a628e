import zipfile
from pathlib import Path

import numpy as np
import pytest

from crystal_eyes.classifiers import scikit_linear
from crystal_eyes.classifiers.base import Classifier, best, best_of_logits
from crystal_eyes.classifiers.registry import CLASSIFIERS, LINEAR, create
from crystal_eyes.errors import UserError
from crystal_eyes.onnx_session import open_session

SMALL = {"perceptron_epochs": 20, "random_forest_trees": 20}
EVERY = pytest.mark.parametrize("name", CLASSIFIERS)
EVERY_LINEAR = pytest.mark.parametrize("name", LINEAR)


def separable(classes: int = 6, count: int = 12, d: int = 24, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Unit-length embeddings of classes, each around its own center, in mixed order."""
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(99).normal(size=(classes, d))
    labels = rng.permutation(np.repeat(np.arange(classes), count))
    x = centers[labels] + 0.4 * rng.normal(size=(len(labels), d))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32), labels.astype(np.int64)


def fitted(name: str, x: np.ndarray, y: np.ndarray, seed: int = 0, **options) -> Classifier:
    """options: by full name; those of other classifiers are ignored."""
    classifier = create(name, SMALL | options, seed)
    classifier.fit(x, y)
    return classifier


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def assert_same(a, b) -> None:
    np.testing.assert_array_equal(a[0], b[0])
    np.testing.assert_allclose(a[1], b[1], rtol=1e-5, atol=1e-6)


@EVERY
@pytest.mark.parametrize("classes", [2, 6])
def test_separable_classes_are_distinguished(name, classes):
    classifier = fitted(name, *separable(classes))
    x, y = separable(classes, seed=1)
    labels, scores = classifier.top_k(x, 1)
    assert (labels[:, 0] == y).mean() > 0.95


@EVERY
@pytest.mark.parametrize("k, width", [(1, 1), (3, 3), (6, 6), (50, 6)])
def test_candidates_are_distinct_classes_best_first(name, k, width):
    labels, scores = fitted(name, *separable()).top_k(separable(seed=1)[0][:10], k)
    assert labels.shape == scores.shape == (10, width)
    assert labels.dtype == np.int64 and scores.dtype == np.float32 and np.isfinite(scores).all()
    assert all(len(set(row)) == width and set(row) <= set(range(6)) for row in labels.tolist())
    assert (np.diff(scores, axis=1) <= 0).all()


@EVERY
def test_fewer_candidates_are_the_first_of_more(name):
    classifier, x = fitted(name, *separable()), separable(seed=1)[0]
    many, few = classifier.top_k(x, 5), classifier.top_k(x, 2)
    assert_same(few, (many[0][:, :2], many[1][:, :2]))


@EVERY
@pytest.mark.parametrize("classes", [2, 6])
def test_a_saved_classifier_gives_the_same_answers(name, classes, tmp_path):
    classifier, x = fitted(name, *separable(classes)), separable(classes, seed=1)[0]
    classifier.save(tmp_path / "new" / "folder")
    loaded = create(name, SMALL, 0)
    loaded.load(tmp_path / "new" / "folder")
    assert_same(loaded.top_k(x, 5), classifier.top_k(x, 5))


@EVERY
def test_nothing_saved_is_a_pickle(name, tmp_path):
    fitted(name, *separable()).save(tmp_path)
    for path in tmp_path.iterdir():
        assert path.suffix in (".safetensors", ".faiss", ".skops", ".npy", ".json")
        if path.suffix == ".npy":
            np.load(path, allow_pickle=False)
        if path.suffix == ".skops":
            assert all(inner.endswith((".json", ".npy")) for inner in zipfile.ZipFile(path).namelist())


@EVERY
def test_equal_fits_are_saved_as_equal_bytes(name, tmp_path):
    x, y = separable()
    for folder in ("first", "again"):
        fitted(name, x.copy(), y.copy(), seed=3).save(tmp_path / folder)
    assert contents(tmp_path / "first") == contents(tmp_path / "again")


@EVERY
def test_an_unfitted_copy_learns_the_same(name):
    x, y = separable()
    first = fitted(name, x, y, seed=3)
    copy = first.unfitted()
    assert type(copy) is type(first) and copy.named_options() == first.named_options() and copy.seed == 3
    copy.fit(x, y)
    np.testing.assert_array_equal(copy.top_k(x, 6)[1], first.top_k(x, 6)[1])


@EVERY
def test_the_same_seed_gives_the_same_classifier(name):
    hard, y = separable(count=4, d=3)
    x = separable(seed=1, d=3)[0]
    first, again = (fitted(name, hard, y, seed=3).top_k(x, 6) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])


@EVERY
def test_few_pictures_are_enough(name):
    """One picture per class, and more neighbors requested than there are pictures."""
    x = np.eye(4, 8, dtype=np.float32)
    classifier = fitted(name, x, np.arange(4), faiss_neighbors=10, k_neighbors_k=10)
    labels, _ = classifier.top_k(x, 4)
    assert labels.shape == (4, 4)
    assert name == "random_forest" or (labels[:, 0] == np.arange(4)).all()


@EVERY
def test_an_answer_does_not_depend_on_the_other_queries(name):
    classifier, x = fitted(name, *separable()), separable(seed=1)[0]
    many = np.tile(x, (15, 1))  # more than one piece of 1024 queries
    labels, scores = classifier.top_k(many, 3)
    alone = classifier.top_k(x[:1], 3)
    assert len(labels) == len(many) > 1024
    assert_same((labels, scores), tuple(np.tile(part, (15, 1)) for part in classifier.top_k(x, 3)))
    assert_same((labels[:1], scores[:1]), alone)


@pytest.mark.parametrize("name", ["ridge", "logistic_regression"])
def test_more_characters_than_fit_into_memory_are_refused(name, monkeypatch):
    monkeypatch.setattr(scikit_linear, "memory", lambda: 500)
    with pytest.raises(
        UserError, match="needs .* GiB for 72 embeddings of 6 characters, but this machine has .*: use the perceptron"
    ):
        fitted(name, *separable())


@EVERY
def test_the_embeddings_may_be_read_only(name):
    x, y = separable()
    x.setflags(write=False)
    before = x.copy()
    fitted(name, x, y).top_k(x, 1)
    np.testing.assert_array_equal(x, before)


@EVERY
def test_classes_of_very_different_sizes_are_all_kept(name):
    x, y = separable()
    keep = np.concatenate([np.flatnonzero(y == c)[: 1 if c == 5 else 12] for c in range(6)])
    labels, _ = fitted(name, x[keep], y[keep]).top_k(x, 6)
    assert (np.sort(labels, axis=1) == np.arange(6)).all()


# What is particular to one of them


def test_tip_adapter_adds_what_a_loop_over_the_training_embeddings_finds():
    x, y = separable(count=5, d=6)
    queries = separable(count=3, d=6, seed=1)[0]
    one = fitted("tip_adapter", x, y, tip_adapter_alpha=2.0, tip_adapter_beta=3.0)
    logits = one.logits(queries)
    for query, own, found in zip(queries, one.perceptron.logits(queries), logits):
        alike = [sum(np.exp(-3.0 * (1 - query @ other)) for other, label in zip(x, y) if label == c) for c in range(6)]
        np.testing.assert_allclose(found, own + 2.0 * np.array(alike), rtol=1e-4)


@pytest.mark.parametrize("neighbors", [1, 3, 10, 500])
def test_the_neighbors_vote_is_what_a_loop_counts(neighbors):
    x, y = separable(count=5, d=6)
    queries = separable(count=3, d=6, seed=1)[0]
    classifier = fitted("faiss", x, y, faiss_neighbors=neighbors)
    labels, scores = classifier.top_k(queries, 6)
    for query, row, given in zip(queries, labels, scores):
        similarity = [float(query @ other) for other in x]
        nearest = sorted(range(len(x)), key=lambda i: -similarity[i])[:neighbors]
        votes = [sum(max(similarity[i], 1e-6) for i in nearest if y[i] == c) for c in range(6)]
        expected = sorted(range(6), key=lambda c: (-votes[c], c))
        assert row.tolist() == expected
        np.testing.assert_allclose(given, [votes[c] / sum(votes) for c in expected], atol=1e-5)


def test_probabilities_add_up_to_one():
    x, y = separable()
    for name in ("perceptron", "faiss", "k_neighbors", "random_forest"):
        scores = fitted(name, x, y).top_k(x, 6)[1]
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5, err_msg=name)


def test_the_options_reach_the_classifiers():
    x, y = separable(d=3)
    queries = separable(seed=1, d=3)[0]
    for name, few, many in (
        ("perceptron", {"perceptron_epochs": 1}, {"perceptron_epochs": 30}),
        ("perceptron", {"perceptron_learning_rate": 1e-4}, {"perceptron_learning_rate": 1e-1}),
        ("faiss", {"faiss_neighbors": 1}, {"faiss_neighbors": 60}),
        ("tip_adapter", {"tip_adapter_alpha": 0.0}, {"tip_adapter_alpha": 50.0}),
        ("tip_adapter", {"tip_adapter_beta": 0.5}, {"tip_adapter_beta": 50.0}),
        ("tip_adapter", {"perceptron_epochs": 1}, {"perceptron_epochs": 30}),
        ("linear_svc", {"linear_svc_c": 1e-3}, {"linear_svc_c": 10.0}),
        ("k_neighbors", {"k_neighbors_k": 1}, {"k_neighbors_k": 60}),
        ("ridge", {"ridge_alpha": 0.0}, {"ridge_alpha": 100.0}),
        ("logistic_regression", {"logistic_regression_c": 1e-3}, {"logistic_regression_c": 10.0}),
        ("random_forest", {"random_forest_trees": 1}, {"random_forest_trees": 30}),
        ("random_forest", {"seed": 1}, {"seed": 2}),
    ):
        a, b = (fitted(name, x, y, **changes).top_k(queries, 6)[1] for changes in (few, many))
        assert not np.allclose(a, b), (name, few)


def test_the_centroids_far_behind_the_nearest_are_still_in_order():
    x, y = separable(d=64)
    sharp = np.eye(6, 64, dtype=np.float32)[y] * np.arange(1, 7)[y, None] + 1e-3 * x
    labels, _ = fitted("nearest_centroid", sharp, y).top_k(sharp[y == 0][:1], 6)
    assert labels[0].tolist() == [0, 1, 2, 3, 4, 5]


def test_candidates_far_behind_the_first_are_still_in_order():
    labels, scores = best_of_logits(np.array([[0.0, 500.0, 1000.0, 2000.0]], np.float32), 4)
    assert labels.tolist() == [[3, 2, 1, 0]] and scores[0, 0] == 1


def test_equal_scores_are_in_the_order_of_the_labels():
    labels, scores = best(np.array([[0.2, 0.5, 0.2, 0.5], [0, 0, 0, 0]]), 3)
    assert labels.tolist() == [[1, 3, 0], [0, 1, 2]]
    np.testing.assert_allclose(scores, [[0.5, 0.5, 0.2], [0, 0, 0]])


# The ONNX file of a linear one


@EVERY_LINEAR
@pytest.mark.parametrize("classes", [2, 6])
@pytest.mark.parametrize("count", [0, 1, 40])
def test_the_onnx_file_of_a_linear_classifier_gives_its_logits(name, classes, count, tmp_path):
    classifier, x = fitted(name, *separable(classes)), np.resize(separable(classes, seed=1)[0], (count, 24))
    classifier.export_onnx(tmp_path / "linear.onnx")
    unrounded = classifier.logits(x)
    classifier.round_to_stored()
    np.testing.assert_allclose(classifier.logits(x), unrounded, rtol=1e-2, atol=1e-2)
    found = open_session((tmp_path / "linear.onnx").read_bytes(), 1).run(None, {"embeddings": x})[0]
    assert found.shape == (count, classes) and found.dtype == np.float32
    np.testing.assert_allclose(found, classifier.logits(x), rtol=1e-4, atol=1e-4)


@EVERY_LINEAR
def test_the_onnx_file_of_a_linear_classifier_stands_alone_and_is_the_same_each_time(name, tmp_path):
    classifier, loaded = fitted(name, *separable()), create(name, SMALL, 0)
    classifier.save(tmp_path / "saved")
    loaded.load(tmp_path / "saved")
    for folder, one in (("a", classifier), ("b", loaded)):
        (tmp_path / folder).mkdir()
        one.export_onnx(tmp_path / folder / "linear.onnx")
    assert contents(tmp_path / "a") == contents(tmp_path / "b") and len(contents(tmp_path / "a")) == 1
    session = open_session((tmp_path / "a" / "linear.onnx").read_bytes(), 1)
    assert [(one.name, one.shape[1]) for one in (*session.get_inputs(), *session.get_outputs())] == [
        ("embeddings", 24),
        ("logits", 6),
    ]


@EVERY_LINEAR
def test_the_scores_of_a_linear_classifier_are_the_softmax_of_its_logits(name):
    classifier, x = fitted(name, *separable()), separable(seed=1)[0]
    logits = classifier.logits(x).astype(float)
    labels, scores = classifier.top_k(x, 6)
    for row, order, given in zip(logits, labels, scores):
        powers = [np.exp(value - row.max()) for value in row]
        assert order.tolist() == sorted(range(6), key=lambda c: (-row[c], c))
        np.testing.assert_allclose(given, [powers[c] / sum(powers) for c in order], atol=1e-5)


def test_lda_is_the_nearest_expected_point_by_the_shared_covariance():
    x, y = separable(classes=30, count=40, d=6)
    keep = np.concatenate([np.flatnonzero(y == label)[: 2 + label] for label in range(30)])  # 2 to 31 pictures
    x, y = x[keep], y[keep]
    classifier = fitted("lda", x, y)
    means = np.stack([x[y == label].mean(axis=0) for label in range(30)])
    center = means.mean(axis=0)
    apart = x - means[y]
    covariance = apart.T @ apart / (len(x) - 30)
    among = (means - center).T @ (means - center) / 30 - covariance * np.mean([1 / (2 + label) for label in range(30)])
    assert np.linalg.eigvalsh(among).min() > 0.01
    shrunk = 0.2 * covariance + 0.8 * np.trace(covariance) / 6 * np.eye(6)
    # the expected point of a character, by its mean of so many pictures (Gaussian conditioning)
    points = [center + 0.4 * among @ np.linalg.solve(0.4 * among + shrunk / (2 + label), mean - center)
              for label, mean in enumerate(means)]  # fmt: skip
    distance = np.array([[(q - m) @ np.linalg.solve(shrunk, q - m) for m in points] for q in x[:20]])
    logits = classifier.logits(x[:20])
    np.testing.assert_allclose(logits - logits[:, :1], -0.5 / 25 * (distance - distance[:, :1]), atol=1e-3, rtol=1e-4)


def test_lda_finds_characters_of_one_picture_among_others_of_many():
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(40, 32)), np.arange(40)
    y = np.repeat(labels, np.where(labels < 20, 1, 30))
    x = points[y] + 2 * rng.normal(size=(len(y), 32))
    truth = np.repeat(labels[:20], 100)
    asked = points[truth] + 2 * rng.normal(size=(len(truth), 32))
    found, _ = fitted("lda", x, y).top_k(asked, 1)
    means = np.stack([x[y == label].mean(axis=0) for label in labels])
    nearest = ((asked[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (found[:, 0] == truth).mean() > 3 * (nearest == truth).mean()


def test_lda_tells_characters_apart_that_differ_less_than_their_pictures():
    x, y = separable(classes=3, count=2, d=6)
    noise = np.random.default_rng(1).normal(size=x.shape) * 100
    logits = fitted("lda", x * 1e-3 + noise, y).logits(x)
    assert np.isfinite(logits).all() and np.ptp(logits, axis=1).min() > 0
