import pytest

from crystal_eyes.evaluation.open_set import auroc
from crystal_eyes.recognizer.build.choose_unlikeness import choose_unlikeness, weighted
from crystal_eyes.recognizer.unlikeness import BLENDS, SCORES, Unlikeness
from tests.unit.recognizer.build.made_up import heads


def test_the_blend_that_is_chosen_has_the_best_auroc_on_colored_heads_that_are_named_right(known):
    familiar, strange = heads(0, 10, 6, seed=2), heads(20, 26, 6, seed=3)
    chosen, tried = choose_unlikeness(known, familiar, strange)
    assert set(tried) == {"+".join(names) for names in BLENDS}
    assert tried["+".join(chosen.names)] == max(tried.values()) > 0.8
    right = known.names[known.classifier.logits(familiar.embeddings).argmax(axis=1)] == familiar.characters
    assert not right.all()
    a, b = known.evidence(familiar[~familiar.line & right]), known.evidence(strange[~strange.line])
    for name in SCORES:
        wins = [(x < y) + 0.5 * (x == y) for x in SCORES[name](a) for y in SCORES[name](b)]
        assert tried[name] == pytest.approx(sum(wins) / len(wins), abs=2e-3)
    assert chosen == Unlikeness.fit(chosen.names, a, chosen.weights)


def test_the_weights_of_a_blend_separate_better_than_equal_ones(known):
    a, b = (known.evidence(one) for one in (heads(0, 10, 6, seed=2), heads(20, 26, 6, seed=3)))
    equal = Unlikeness.fit(("energy", "crowd", "mean"), a)
    fitted = weighted(equal, a, b)
    assert auroc(fitted(a), fitted(b)) >= auroc(equal(a), equal(b)) and fitted.weights != equal.weights
    alone = Unlikeness.fit(("mean",), a)
    assert weighted(alone, a, b) == alone


def test_a_catalogue_of_line_art_alone_can_choose_too(known):
    """Manga has no colored head."""
    chosen, tried = choose_unlikeness(known, heads(0, 10, 6, 2, line=1.1), heads(20, 26, 6, 3, line=1.1))
    assert chosen.names in BLENDS and 0 <= max(tried.values()) <= 1
