import numpy as np
import pytest

from crystal_eyes.recognizer.build.enroll_again import drawn_heads
from crystal_eyes.recognizer.build.enrolled_standard import enrolled_called_unknown, fit_enrolled_unlikeness
from crystal_eyes.recognizer.calibration import Calibration
from crystal_eyes.recognizer.enrolled_unlikeness import COUNTS, DISTANCES, KINDS
from crystal_eyes.recognizer.naming import mean_embedding
from tests.unit.recognizer.build.made_up import heads

STRANGERS = (20, 44)


@pytest.fixture(scope="module")
def fitted(known):
    return fit_enrolled_unlikeness(known, heads(*STRANGERS, 8, seed=5), heads(*STRANGERS, 7, seed=6, line=-1))


def test_heads_of_other_enrolled_characters_are_called_unknown_about_as_often_as_nominal_or_less_often(known, fitted):
    """By the standard alone: the trained characters' p-value is out of the way."""
    never = Calibration(1.0, np.full(99, -1e9))  # p-value 0.01
    standard, asked, shown = fitted[0], heads(50, 70, 20, 7, line=-1), heads(50, 70, 20, 8, line=-1)
    unlikeness = lambda evidence: np.zeros(len(evidence.logits))  # noqa: E731
    found = enrolled_called_unknown(known, unlikeness, never, standard, asked, shown)
    assert found.keys() == {f"{count}_called_unknown_at_5" for count in COUNTS}
    assert all(share <= 0.09 for share in found.values())


def test_the_share_called_unknown_is_what_loops_count(known, unlikeness, fitted):
    standard, asked, shown = fitted[0], heads(50, 53, 4, 7), heads(50, 53, 6, 8)
    trained = Calibration(1.0, np.sort(unlikeness(known.evidence(heads(0, 10, 9, 2)))))
    found = enrolled_called_unknown(known, unlikeness, trained, standard, asked, shown)
    for count in COUNTS:
        unknown = []
        for draw in range(4):
            for row, (x, line) in enumerate(zip(asked.embeddings, asked.line)):
                evidence = known.evidence(asked[row : row + 1])
                p = [trained.p_values(unlikeness(evidence))[0]]
                for name in ("c50", "c51", "c52"):
                    own = drawn_heads(shown, name, count, draw)
                    similar = np.sort(evidence.to_means[0])[::-1]
                    distance = {
                        "mean": 1 - x @ mean_embedding(own), "neighbour": 1 - (own @ x).max(),
                        "ahead": similar[:10].mean() - x @ mean_embedding(own),
                    }[standard.distance]  # fmt: skip
                    scores = standard.calibrations["line" if line else "colour"][count].known
                    p.append((1 + (scores >= round(float(distance), 5)).sum()) / (1 + len(scores)))
                unknown.append(max(p) <= 0.05)
        assert found[f"{count}_called_unknown_at_5"] == pytest.approx(np.mean(unknown), abs=0.03)


def test_the_distance_is_the_simplest_of_the_best(fitted):
    standard, aurocs = fitted
    assert aurocs.keys() == set(DISTANCES) and all(0.5 < value <= 1 for value in aurocs.values())
    first = [name for name in DISTANCES if aurocs[name] >= max(aurocs.values()) - 0.005][0]
    assert standard.distance == first and standard.calibrations.keys() == set(KINDS)


def test_too_few_heads_give_no_standard(known):
    few = heads(20, 22, 2, 5)
    assert fit_enrolled_unlikeness(known, few, few[:0]) == (None, {})
