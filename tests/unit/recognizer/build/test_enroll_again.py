import numpy as np
import pytest

from crystal_eyes.recognizer.build.enroll_again import enroll_again, fit_enrolled_logits
from crystal_eyes.recognizer.build.labeled_heads import LabeledHeads
from crystal_eyes.recognizer.enrolled_logits import Line
from tests.unit.recognizer.build.made_up import heads


def naive_enroll(known, familiar, strangers, shown, slope: float, intercept: float, names: list[str]) -> dict[str, float]:
    def points_of(count: int, draw: int) -> dict[str, np.ndarray]:
        points = {}
        for name in names:
            own = [x for x, c in zip(shown.embeddings.astype(float), shown.characters) if c == name]
            mean = np.mean([own[(draw * count + number) % len(own)] for number in range(count)], axis=0)
            seen = known.expected.ratios.astype(float) * count
            points[name] = at(mean) * seen / (seen + 1)
        return points

    def at(x: np.ndarray) -> np.ndarray:
        return (x - known.expected.center) @ known.expected.matrix.astype(float)

    def top(k: int, some: LabeledHeads, wanted: list[str], points: dict[str, np.ndarray]) -> float:
        hits = []
        for x, logits, character in zip(some.embeddings, known.classifier.logits(some.embeddings), some.characters):
            if character in wanted:
                scores = dict(zip(known.names.tolist(), logits.tolist()))
                expected = {name: (at(x.astype(float)) @ point - point @ point / 2) / 25 for name, point in points.items()}
                scores |= {name: slope * value + intercept for name, value in expected.items()}
                hits.append(character in sorted(scores, key=lambda name: -scores[name])[:k])
        return float(np.mean(hits))

    old, five = known.names.tolist(), points_of(5, 0)
    figures = {"enrolled_top_5": top(5, strangers, names, five), "characters": len(names)}
    for k in (1, 5):
        figures |= {f"known_top_{k}_before": top(k, familiar, old, {}), f"known_top_{k}_after": top(k, familiar, old, five)}
        for count in (1, 3, 5):
            figures[f"{count}_top_{k}"] = np.mean([top(k, strangers, names, points_of(count, draw)) for draw in range(4)])
    return figures


@pytest.mark.parametrize(("slope", "intercept"), [(8.0, 0.0), (0.0, -100.0), (0.0, 100.0), (5.0, -3.0)])
def test_enrolling_again_is_what_loops_find(known, slope, intercept):
    familiar, strangers, shown = (heads(*span, each, seed, spread=0.8) for span, each, seed in
                                    (((0, 10), 5, 8), ((20, 29), 4, 9), ((20, 29), 7, 10)))  # fmt: skip
    measure = enroll_again(known, familiar, strangers, shown)
    names = sorted(set(shown.characters.tolist()))
    expected = naive_enroll(known, familiar, strangers, shown, slope, intercept, names)
    assert measure(Line(slope, intercept)) == pytest.approx(expected)
    if intercept == -100:
        assert expected["enrolled_top_5"] == 0 and expected["known_top_5_after"] == expected["known_top_5_before"]
    if intercept == 100:
        assert expected["known_top_5_after"] == 0


def test_no_more_than_twenty_are_enrolled_and_who_does_not_depend_on_the_heads_order(known):
    familiar, strangers, shown = heads(0, 10, 3, 8), heads(20, 55, 2, 9), heads(20, 55, 6, 10)
    line = Line(2.0, 0.0)
    found = enroll_again(known, familiar, strangers, shown)(line)
    assert found["characters"] == 20
    order = np.argsort(shown.characters, kind="stable")[::-1]
    order = np.concatenate([order[shown.characters[order] == name][::-1] for name in np.unique(shown.characters)[::-1]])
    assert enroll_again(known, familiar, strangers, shown[order])(line) == found


def test_the_line_that_is_fitted_finds_the_enrolled_and_costs_the_known_next_to_nothing(known):
    familiar, strangers, shown = (heads(*one, spread=0.8) for one in ((0, 10, 20, 8), (20, 28, 6, 9), (20, 28, 6, 10)))
    measure = enroll_again(known, familiar, strangers, shown)
    tried = []

    def watched(one: Line) -> dict[str, float]:
        tried.append((one, measure(one)))
        return tried[-1][1]

    logits = fit_enrolled_logits(known, watched, familiar)
    chosen = logits.by_point
    assert logits.expected is known.expected and logits.by_cosine.slope > 0

    def found(figures: dict[str, float]) -> float:
        return np.mean([figures[f"{count}_top_{k}"] for count in (1, 3, 5) for k in (1, 5)])

    def is_fair(figures: dict[str, float]) -> bool:
        losses = [figures[f"known_top_{k}_before"] - figures[f"known_top_{k}_after"] for k in (1, 5)]
        return max(losses) <= 0.005

    fair = [one for one, figures in tried if is_fair(figures)]
    assert chosen in fair and len(fair) < len(tried)
    assert found(measure(chosen)) == max(found(dict(tried)[one]) for one in fair) > 0.3
    assert max(found(figures) for _, figures in tried) > found(measure(chosen))  # at too high a price
    assert chosen.slope > 0
