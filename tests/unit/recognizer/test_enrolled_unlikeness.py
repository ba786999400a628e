import json

import numpy as np
import pytest

from crystal_eyes.recognizer.calibration import Calibration
from crystal_eyes.recognizer.enrolled_unlikeness import (
    DISTANCES,
    MAX_SCORES,
    EnrolledUnlikeness,
    cohort_of,
    distance,
    enroll_each,
    thinned,
)

D = 24


def people(first: int, last: int, each: int, seed: int, spread: float = 0.7) -> tuple[np.ndarray, np.ndarray]:
    """Unit embeddings of the characters first to last - 1, and their numbers."""
    labels = np.repeat(np.arange(first, last), each)
    centers = np.stack([np.random.default_rng(label).normal(size=D) for label in labels])
    x = centers + spread * np.random.default_rng(seed).normal(size=centers.shape)
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32), labels


def by_count(**scores: list[float]) -> dict[int, Calibration]:
    return {int(name[1:]): Calibration(1.0, np.array(known), np.array([9.0])) for name, known in scores.items()}


def test_distances_are_what_loops_find():
    x, labels = people(0, 3, 4, 0)
    mean, own, means = x[0], x[1:3], x[4:]
    for row in range(len(x)):
        similar = sorted((float(x[row] @ one) for one in means), reverse=True)[:10]
        expected = {"mean": 1 - x[row] @ mean, "neighbour": 1 - max(x[row] @ own[0], x[row] @ own[1]),
                    "ahead": np.mean(similar) - x[row] @ mean}  # fmt: skip
        some = x[row : row + 1]
        for name in DISTANCES:
            found = distance(name, some @ mean, some @ own.T, cohort_of(some @ means.T))
            assert found[0] == pytest.approx(expected[name], abs=2e-5)


def test_the_calibration_is_that_of_as_many_heads_or_fewer():
    counts = by_count(n1=[1.0], n3=[3.0], n5=[5.0])
    standard = EnrolledUnlikeness("mean", {"colour": counts, "line": by_count(n3=[7.0])})
    found = [standard.calibration("colour", heads).known[0] for heads in (1, 2, 3, 4, 5, 50)]
    assert found == [1, 1, 3, 3, 5, 5] and standard.calibration("line", 1).known[0] == 7


def test_line_art_and_color_are_compared_with_their_own_scores():
    color, line = by_count(n1=[0.1, 0.2, 0.3]), by_count(n1=[0.8, 0.9, 1.0])
    standard = EnrolledUnlikeness("mean", {"colour": color, "line": line})
    to_mean = np.array([0.5, 0.5], np.float32)
    p, share = standard(to_mean, to_mean[:, None], np.zeros(2), np.array([False, True]))
    assert p.tolist() == [0.25, 1.0] and share.tolist() == [0.5, 0.5]
    again = EnrolledUnlikeness.from_dict(json.loads(json.dumps(standard.as_dict())))
    assert again(to_mean, to_mean[:, None], np.zeros(2), np.array([False, True]))[0].tolist() == p.tolist()


@pytest.mark.parametrize("count", [1, 3, 5])
def test_other_heads_of_a_new_character_are_rarely_beyond_the_calibration(count):
    x, labels = people(0, 60, 12, 1)
    everything = np.ones(len(x), bool)
    known = enroll_each(x, labels, everything, everything, np.zeros(len(x), np.float32), count)
    new, their_labels = people(100, 160, 12, 2)
    asked = enroll_each(new, their_labels, np.ones(len(new), bool), np.ones(len(new), bool), np.zeros(len(new)), count)
    for name in DISTANCES[:2]:
        calibration = Calibration(1.0, known.own[name])
        assert 0.005 <= (calibration.p_values(asked.own[name]) <= 0.05).mean() <= 0.09
        assert (calibration.p_values(asked.strange[name]) <= 0.05).mean() > 0.9


def test_characters_with_too_few_heads_are_left_out():
    x, labels = people(0, 4, 3, 1)
    everything = np.ones(len(x), bool)
    assert len(enroll_each(x, labels, everything, everything, np.zeros(len(x)), 5).own["mean"]) == 0
    # enrolled from all of its heads, a character has no other ones
    assert len(enroll_each(x, labels, everything, everything, np.zeros(len(x)), 3).own["mean"]) == 0


def test_the_gallery_of_an_older_bundle_gives_a_standard_too():
    x, labels = people(0, 40, 5, 3)
    means, _ = people(0, 40, 1, 4, spread=0.1)
    standard = EnrolledUnlikeness.from_gallery(x, labels, means)
    assert set(standard.calibrations["colour"]) == {1, 3}
    color, line = (standard.calibrations[kind][3].known for kind in ("colour", "line"))
    assert (line > color).all()
    alone = EnrolledUnlikeness.from_gallery(x[::5], labels[::5], means)  # one reference head each
    p, _ = alone(np.zeros(1), np.zeros((1, 1)), np.zeros(1), np.zeros(1, bool))
    assert p.tolist() == [1.0]


def test_stored_scores_are_few_and_keep_the_ends():
    values = np.sort(np.random.default_rng(0).normal(size=5000))
    few = thinned(values)
    assert len(few) == MAX_SCORES and (few[0], few[-1]) == (values[0], values[-1]) and (np.diff(few) >= 0).all()
    assert thinned(values[:10]).tolist() == values[:10].tolist()


def test_the_lenient_one_of_two_standards_has_the_larger_scores():
    one = EnrolledUnlikeness("mean", {"colour": by_count(n1=[0.1, 0.2, 0.6], n5=[0.1, 0.1, 0.1]), "line": by_count(n1=[0.5])})
    other = EnrolledUnlikeness("mean", {"colour": by_count(n1=[0.2, 0.3, 0.4]), "line": by_count(n1=[])})
    found = one.lenient(other).calibrations
    assert found["colour"][1].known.tolist() == [0.2, 0.3, 0.6] and found["colour"][5].known.tolist() == [0.2, 0.3, 0.4]
    assert found["line"][1].known.tolist() == [0.5]
    assert one.lenient(EnrolledUnlikeness("ahead", other.calibrations)) is one
