import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crystal_eyes.classifiers.perceptron import Perceptron
from crystal_eyes.data.options import SplitOptions
from crystal_eyes.data.splits import assign_splits
from crystal_eyes.evaluation.calibration import expected_calibration_error
from crystal_eyes.evaluation.open_set import open_set
from crystal_eyes.recognizer.build import bundling
from crystal_eyes.recognizer.build.bundling import Heads, Known, parts
from crystal_eyes.recognizer.build.model_card import model_card
from crystal_eyes.recognizer.calibration import Calibration
from crystal_eyes.recognizer.naming import EnrolledLogits
from crystal_eyes.recognizer.unlikeness import BLENDS, SCORES, Unlikeness

D = 12


def table(seed: int, characters: int = 10, pictures: int = 12, artworks: int = 6, shared: bool = False) -> pd.DataFrame:
    """A table of embeddings as prepare and embed leave it. shared: a few artworks show two characters."""
    rng = np.random.default_rng(seed)
    rows = []
    for character in range(characters):
        for number in range(pictures):
            artwork = f"{character // 2 if shared and number < 2 else character} art {rng.integers(artworks)}"
            file = f"{character}/{number}.png"
            rows.append((file, f"Name {character}", "" if number % 4 == 0 else artwork))
    made = pd.DataFrame(rows, columns=["file", "character", "artwork"]).assign(split="", set="", series="", monochrome=False)
    return assign_splits(made, SplitOptions(6, 6, 0.2, 0.2), seed)


def artworks_of(some: pd.DataFrame) -> set[str]:
    return set(np.where(some["artwork"] != "", some["artwork"], some["file"]))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.booleans())
def test_what_calibrates_shares_no_artwork_with_what_reports_and_neither_was_trained_on(seed, shared):
    some = table(seed, shared=shared)
    found = parts(some)
    train, calibration, report = (some.iloc[found[name]] for name in ("train", "calibration", "report"))
    assert not artworks_of(calibration) & artworks_of(report)
    assert not (artworks_of(calibration) | artworks_of(report)) & artworks_of(train)
    assert (train["classifier_split"] == "train").all()
    for part in (calibration, report):
        assert (part["classifier_split"] == "test").all() and set(part["character"]) <= set(train["character"])
    tested = some[(some["classifier_split"] == "test") & some["character"].isin(train["character"])]
    assert sorted([*calibration["file"], *report["file"]]) == sorted(tested["file"])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.booleans())
def test_strangers_are_every_head_of_characters_that_no_encoder_learned_from(seed, shared):
    some = table(seed, shared=shared)
    found = parts(some)
    learned = set(some["character"][some["encoder_split"] == "train"])
    for part, split in (("strangers_choose", "validation"), ("strangers_report", "test")):
        names = set(some["character"][some["encoder_split"] == split])
        assert set(some["character"].iloc[found[part]]) == names and not names & learned
        assert sorted(found[part]) == np.flatnonzero(some["character"].isin(names)).tolist()
    assert not set(found["strangers_choose"]) & set(found["strangers_report"])


def test_the_halves_are_about_equal_and_do_not_depend_on_the_rows_order():
    some = table(0, characters=40)
    found = parts(some)
    assert 0.35 < len(found["calibration"]) / (len(found["calibration"]) + len(found["report"])) < 0.65
    shuffled = some.sample(frac=1, random_state=1)
    again = parts(shuffled)
    for name, rows in found.items():
        assert set(shuffled["file"].iloc[again[name]]) == set(some["file"].iloc[rows])


# Naming on embeddings of a made-up encoder


def embeddings(characters: list[str], seed: int, spread: float = 0.5) -> np.ndarray:
    centres = {name: np.random.default_rng(int(name[1:])).normal(size=D) for name in set(characters)}
    x = np.stack([centres[name] for name in characters]) + spread * np.random.default_rng(seed).normal(
        size=(len(characters), D)
    )
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def heads(first: int, last: int, each: int, seed: int, line: float = 0.3, spread: float = 0.5) -> Heads:
    """Heads of characters c<first> to c<last - 1>."""
    characters = [f"c{number:02d}" for number in range(first, last)] * each
    rng = np.random.default_rng(seed)
    drawn = rng.random(len(characters)) < line
    made = drawn & (rng.random(len(characters)) < 0.5)
    return Heads(embeddings(characters, seed, spread), np.array(characters), drawn, made)


@pytest.fixture(scope="module")
def known() -> Known:
    some = heads(0, 10, 12, seed=1)
    perceptron = Perceptron(30, 1e-2, 0)
    perceptron.fit(some.embeddings, np.unique(some.characters, return_inverse=True)[1])
    return Known(perceptron, some.embeddings, some.characters, 3)


def test_known_draws_on_means_and_references_of_its_characters(known):
    some = heads(0, 10, 12, seed=1)
    assert known.names.tolist() == [f"c{number:02d}" for number in range(10)]
    assert some.characters[known.references].tolist() == np.repeat(known.names, 3).tolist()
    x = embeddings(["c03"], 5)
    evidence = known.evidence(x)
    for label, name in enumerate(known.names):
        mean = some.embeddings[some.characters == name].astype(float).mean(axis=0)
        assert evidence.to_means[0, label] == pytest.approx(float(x[0] @ (mean / np.linalg.norm(mean))), abs=2e-3)
    assert evidence.to_gallery[0].tolist() == pytest.approx((some.embeddings[known.references] @ x[0]).tolist(), abs=2e-3)
    np.testing.assert_allclose(evidence.logits, known.layer.logits(x), atol=1e-5)
    assert known.labels(np.array(["c07", "c00"])).tolist() == [7, 0]


def test_the_figures_are_of_the_numbers_that_the_files_hold(known):
    assert known.means.dtype == known.gallery.dtype == np.float16
    x = embeddings(["c03"], 5)
    np.testing.assert_array_equal(known.evidence(x).to_means, x @ known.means.astype(np.float32).T)
    np.testing.assert_array_equal(known.evidence(x).to_gallery, x @ known.gallery.astype(np.float32).T)


def test_kinds_part_the_heads_and_made_sketches_join_the_line_art():
    some = heads(0, 4, 5, seed=0)
    assert len(some.kind("colour").line) + len(some.kind("line").line) == 20
    assert not some.kind("colour").line.any() and some.kind("line").line.all()
    rows = np.array([7, 2])
    more = some.and_made(np.eye(2, D, dtype=np.float32), rows)
    assert len(more.line) == 22 and more.line[20:].all() and more.made[20:].all()
    assert more.characters[20:].tolist() == some.characters[rows].tolist() and more.embeddings[21, 1] == 1
    np.testing.assert_array_equal(more.made[:20], some.made)
    assert len(some.and_made(np.zeros((0, D), np.float32), np.zeros(0, int)).line) == 20


def test_the_blend_that_is_chosen_has_the_best_auroc_on_coloured_heads(known):
    familiar, strange = heads(0, 10, 6, seed=2), heads(20, 26, 6, seed=3)
    chosen, tried = bundling.choose_unlikeness(known, familiar, strange)
    assert set(tried) == {"+".join(names) for names in BLENDS}
    assert tried["+".join(chosen.names)] == max(tried.values()) > 0.8
    a, b = (known.evidence(one.embeddings[~one.line]) for one in (familiar, strange))
    for name in SCORES:
        wins = [(x < y) + 0.5 * (x == y) for x in SCORES[name](a) for y in SCORES[name](b)]
        assert tried[name] == pytest.approx(sum(wins) / len(wins), abs=2e-3)
    assert chosen == Unlikeness.fit(chosen.names, a)


def test_a_catalogue_of_line_art_alone_can_choose_too(known):
    """Manga has no coloured head."""
    chosen, tried = bundling.choose_unlikeness(known, heads(0, 10, 6, 2, line=1.1), heads(20, 26, 6, 3, line=1.1))
    assert chosen.names in BLENDS and 0 <= max(tried.values()) <= 1


@pytest.fixture(scope="module")
def unlikeness(known) -> Unlikeness:
    return Unlikeness.fit(("probability", "mean"), known.evidence(heads(0, 10, 6, seed=2).kind("colour").embeddings))


def test_each_kind_is_calibrated_on_its_own_heads(known, unlikeness):
    some = heads(0, 10, 8, seed=4)
    strange = {"colour": np.array([3.0, 1.0]), "line": np.array([9.0, 8.0, 2.0])}
    found = bundling.calibrate(known, unlikeness, some, strange)
    for kind in bundling.KINDS:
        mine = known.evidence(some.embeddings[some.line == (kind == "line")])
        assert found[kind].known.tolist() == sorted(unlikeness(mine).tolist())
        assert found[kind].strangers.tolist() == sorted(strange[kind].tolist())
        assert 0.02 <= found[kind].temperature <= 50
    assert found["colour"].temperature != found["line"].temperature


@pytest.mark.parametrize(("line", "missing", "there"), [(-1.0, "line", "colour"), (1.1, "colour", "line")])
def test_a_kind_without_heads_is_calibrated_on_the_other(known, unlikeness, line, missing, there):
    found = bundling.calibrate(known, unlikeness, heads(0, 10, 4, 4, line), {"colour": np.zeros(0), "line": np.zeros(0)})
    assert found[missing].known.tolist() == found[there].known.tolist() and len(found[there].known) == 40
    assert found[missing].temperature == found[there].temperature


def test_the_report_is_what_loops_count(known, unlikeness):
    some, asked = heads(0, 10, 8, seed=4), heads(0, 10, 7, seed=5, spread=0.9)
    calibration = bundling.calibrate(known, unlikeness, some, {"colour": np.zeros(0), "line": np.zeros(0)})
    found = bundling.report(known, unlikeness, calibration, asked)
    masks = {"colour": ~asked.line, "line": asked.line, "line_drawn": asked.line & ~asked.made}
    for name, mask in masks.items():
        logits, truth = known.layer.logits(asked.embeddings[mask]), asked.characters[mask]
        ranked = [[f"c{label:02d}" for label in sorted(range(10), key=lambda c: -row[c])] for row in logits]
        for k in (1, 3, 5):
            assert found[f"{name}_top_{k}"] == pytest.approx(np.mean([t in r[:k] for t, r in zip(truth, ranked)]))
        right = np.array([t == r[0] for t, r in zip(truth, ranked)])
        mine = calibration["colour" if name == "colour" else "line"]
        for when, temperature in (("before", 1.0), ("after", mine.temperature)):
            sure = Calibration(temperature).probabilities(logits).max(axis=1)
            assert found[f"{name}_ece_{when}"] == pytest.approx(expected_calibration_error(sure, right), abs=1e-6)
        assert found[f"{name}_mean_confidence"] == pytest.approx(sure.mean(), abs=1e-6)
        scores = unlikeness(known.evidence(asked.embeddings[mask]))
        p = [(1 + sum(k >= u for k in mine.known)) / (1 + len(mine.known)) for u in scores]
        for level in (5, 10):
            assert found[f"{name}_called_unknown_at_{level}"] == pytest.approx(np.mean([one <= level / 100 for one in p]))
        assert found[f"{name}_heads"] == mask.sum()
    assert found["colour_top_1"] < found["colour_top_5"] and found["line_drawn_heads"] < found["line_heads"]


def test_a_report_of_coloured_heads_alone_is_silent_on_the_others(known, unlikeness):
    calibration = {kind: Calibration(1.0) for kind in bundling.KINDS}
    found = bundling.report(known, unlikeness, calibration, heads(0, 10, 3, 5, line=-1))
    assert found["colour_heads"] == 30 and not any(name.startswith("line") for name in found)


def test_a_p_value_of_just_the_level_counts_as_called_unknown(known, unlikeness):
    calibration = {kind: Calibration(1.0, np.full(19, -1e6)) for kind in bundling.KINDS}  # every head gets 1 / 20
    found = bundling.report(known, unlikeness, calibration, heads(0, 10, 3, 5))
    assert found["colour_called_unknown_at_5"] == found["line_called_unknown_at_5"] == 1


def test_strangers_are_reported_by_kind(known, unlikeness):
    familiar, strange = heads(0, 10, 6, seed=6), heads(20, 26, 6, seed=7)
    found = bundling.report_strangers(known, unlikeness, familiar, strange)
    for kind in bundling.KINDS:
        a, b = familiar.kind(kind), strange.kind(kind)
        evidence = known.evidence(a.embeddings)
        right = np.array([f"c{row.argmax():02d}" for row in evidence.logits]) == a.characters
        expected = open_set(unlikeness(evidence), right, unlikeness(known.evidence(b.embeddings)))
        assert {name: found[f"{kind}_{name}"] for name in expected} == pytest.approx(expected)
        assert found[f"{kind}_strangers"] == len(b.line)
    coloured = bundling.report_strangers(known, unlikeness, familiar, heads(20, 26, 6, 7, line=-1))
    assert {name.split("_")[0] for name in coloured} == {"colour"}


# Enrolling again


def naive_enrol(known, familiar, strangers, learned, slope: float, intercept: float, names: list[str]) -> dict[str, float]:
    means = {}
    for name in names:
        mean = np.mean([x for x, c in zip(learned.embeddings.astype(float), learned.characters) if c == name][:5], axis=0)
        means[name] = mean / np.linalg.norm(mean)

    def top_5(some: Heads, wanted: list[str], with_new: bool) -> float:
        hits = []
        for x, logits, character in zip(some.embeddings, known.layer.logits(some.embeddings), some.characters):
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
    familiar, strangers, learned = (heads(*span, each, seed, spread=0.8) for span, each, seed in
                                    (((0, 10), 5, 8), ((20, 29), 4, 9), ((20, 29), 7, 10)))  # fmt: skip
    measure = bundling.enrol_again(known, familiar, strangers, learned)
    names = sorted(set(learned.characters.tolist()))
    expected = naive_enrol(known, familiar, strangers, learned, slope, intercept, names)
    assert measure(EnrolledLogits(slope, intercept)) == pytest.approx(expected)
    if intercept == -100:
        assert expected["enrolled_top_5"] == 0 and expected["known_top_5_after"] == expected["known_top_5_before"]
    if intercept == 100:
        assert expected["known_top_5_after"] == 0


def test_no_more_than_twenty_are_enrolled_and_who_does_not_depend_on_the_heads_order(known):
    familiar, strangers, learned = heads(0, 10, 3, 8), heads(20, 55, 2, 9), heads(20, 55, 6, 10)
    line = EnrolledLogits(6.0, -2.0)
    found = bundling.enrol_again(known, familiar, strangers, learned)(line)
    assert found["characters"] == 20
    order = np.argsort(learned.characters, kind="stable")[::-1]
    order = np.concatenate([order[learned.characters[order] == name][::-1] for name in np.unique(learned.characters)[::-1]])
    assert bundling.enrol_again(known, familiar, strangers, learned[order])(line) == found


def test_the_line_that_is_fitted_finds_the_enrolled_and_costs_the_known_next_to_nothing(known):
    familiar, strangers, learned = (heads(*one, spread=0.8) for one in ((0, 10, 20, 8), (20, 28, 6, 9), (20, 28, 6, 10)))
    measure = bundling.enrol_again(known, familiar, strangers, learned)
    tried = []

    def watched(one: EnrolledLogits) -> dict[str, float]:
        tried.append((one, measure(one)))
        return tried[-1][1]

    chosen = bundling.fit_enrolled_logits(known, watched, familiar)
    losses = {one: found["known_top_5_before"] - found["known_top_5_after"] for one, found in tried}
    fair = [one for one, loss in losses.items() if loss <= 0.0025]
    assert chosen in fair and len(fair) < len(tried)
    assert measure(chosen)["enrolled_top_5"] == max(dict(tried)[one]["enrolled_top_5"] for one in fair) > 0.8
    assert max(found["enrolled_top_5"] for _, found in tried) > measure(chosen)["enrolled_top_5"]  # at too high a price
    assert chosen.slope > 0


# In words


def test_the_summary_shows_the_figures_that_there_are():
    text = bundling.summary({"colour_top_1": 0.81234, "line_auroc": 0.7, "enrol_enrolled_top_5": 0.5, "other": 1.0})
    assert "colour top 1 0.812" in text and "line auroc 0.700" in text and "enrolled top 5 0.500" in text
    assert "other" not in text and "line top 1" not in text


def test_the_model_card_says_the_figures_and_where_it_comes_from(known, unlikeness):
    some = table(0).assign(set=["adventurer", "own"] * 60)
    rows = parts(some)
    figures = {"colour_top_5": 0.91234, "line_top_5": float("nan"), "colour_heads": 321.0, "colour_auroc": 0.87654}
    figures |= {"enrol_characters": 20.0, "enrol_enrolled_top_5": 0.61, "line_drawn_heads": 12.0, "line_drawn_top_5": 0.444}
    card = model_card(some, rows, figures, "probability+mean", "lda", {"embeddings": "runs:/12{3}/embeddings"})
    assert "| top-5 | 0.912 | - |" in card and "| heads | 321 | - |" in card and "AUROC | 0.877 | - |" in card
    assert f"learned from {len(rows['train'])} heads. {len(rows['calibration'])} heads of" in card
    assert f"{len(rows['report'])} more" in card and f"Strangers: {len(rows['strangers_report'])} heads" in card
    assert "among 10 characters" in card and "adventurer, own" in card and "`runs:/12{3}/embeddings`" in card
    assert "probability and mean" in card and "on the 12 that were drawn so, top-5 is 0.444" in card
    assert "Enrolling 20 characters" in card and "0.610" in card and "nan" not in card
    assert "CC BY 4.0" in card and "AGPL-3.0" in card
    plain = model_card(some.assign(set=""), rows, {}, "mean", "perceptron", {})
    assert "CC BY 4.0" not in plain and "none named" in plain and "drawn so" not in plain
