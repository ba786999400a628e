import numpy as np
import pytest

from crystal_eyes.recognizer.build.enroll_again import enroll_again, fit_enrolled_logits
from crystal_eyes.recognizer.build.labeled_heads import LabeledHeads
from crystal_eyes.recognizer.naming import EnrolledLogits
from tests.unit.recognizer.build.made_up import heads


def naive_enroll(known, familiar, strangers, shown, slope: float, intercept: float, names: list[str]) -> dict[str, float]:
    means = {}
    for name in names:
        mean = np.mean([x for x, c in zip(shown.embeddings.astype(float), shown.characters) if c == name][:5], axis=0)
        means[name] = mean / np.linalg.norm(mean)

    def top_5(some: LabeledHeads, wanted: list[str], with_new: bool) -> float:
        hits = []
        for x, logits, character in zip(some.embeddings, known.classifier.logits(some.embeddings), some.characters):
            if character in wanted:
                scores = dict(zip(known.names.tolist(), logits.tolist()))
                if with_new:
                    scores |= {name: slope * float(x @ mean) + intercept for name, mean in means.items()}
                hits.append(character in sorted(scores, key=lambda name: -scores[name])[:5])
        return float(np.mean(hits))

    old = known.names.tolist()
    return {
        "known_top_5_before": top_5(familiar, old, False), "known_top_5_after": top_5(familiar, old, True),
        "enrolled_top_5": top_5(strangers, names, True), "characters": len(names),
    }  # fmt: skip


@pytest.mark.parametrize(("slope", "intercept"), [(8.0, 0.0), (0.0, -100.0), (0.0, 100.0), (5.0, -3.0)])
def test_enrolling_again_is_what_loops_find(known, slope, intercept):
    familiar, strangers, shown = (heads(*span, each, seed, spread=0.8) for span, each, seed in
                                    (((0, 10), 5, 8), ((20, 29), 4, 9), ((20, 29), 7, 10)))  # fmt: skip
    measure = enroll_again(known, familiar, strangers, shown)
    names = sorted(set(shown.characters.tolist()))
    expected = naive_enroll(known, familiar, strangers, shown, slope, intercept, names)
    assert measure(EnrolledLogits(slope, intercept)) == pytest.approx(expected)
    if intercept == -100:
        assert expected["enrolled_top_5"] == 0 and expected["known_top_5_after"] == expected["known_top_5_before"]
    if intercept == 100:
        assert expected["known_top_5_after"] == 0


def test_no_more_than_twenty_are_enrolled_and_who_does_not_depend_on_the_heads_order(known):
    familiar, strangers, shown = heads(0, 10, 3, 8), heads(20, 55, 2, 9), heads(20, 55, 6, 10)
    line = EnrolledLogits(6.0, -2.0)
    found = enroll_again(known, familiar, strangers, shown)(line)
    assert found["characters"] == 20
    order = np.argsort(shown.characters, kind="stable")[::-1]
    order = np.concatenate([order[shown.characters[order] == name][::-1] for name in np.unique(shown.characters)[::-1]])
    assert enroll_again(known, familiar, strangers, shown[order])(line) == found


def test_the_line_that_is_fitted_finds_the_enrolled_and_costs_the_known_next_to_nothing(known):
    familiar, strangers, shown = (heads(*one, spread=0.8) for one in ((0, 10, 20, 8), (20, 28, 6, 9), (20, 28, 6, 10)))
    measure = enroll_again(known, familiar, strangers, shown)
    tried = []

    def watched(one: EnrolledLogits) -> dict[str, float]:
        tried.append((one, measure(one)))
        return tried[-1][1]

    chosen = fit_enrolled_logits(known, watched, familiar)
    losses = {one: found["known_top_5_before"] - found["known_top_5_after"] for one, found in tried}
    fair = [one for one, loss in losses.items() if loss <= 0.0025]
    assert chosen in fair and len(fair) < len(tried)
    assert measure(chosen)["enrolled_top_5"] == max(dict(tried)[one]["enrolled_top_5"] for one in fair) > 0.8
    assert max(found["enrolled_top_5"] for _, found in tried) > measure(chosen)["enrolled_top_5"]  # at too high a price
    assert chosen.slope > 0
