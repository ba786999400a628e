"""A whole bundle, built from drawn heads."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest

from crystal_eyes.classifiers import fitted, registry
from crystal_eyes.classifiers.expected_points import ExpectedPoints
from crystal_eyes.classifiers.lda import Lda
from crystal_eyes.classifiers.line_noise import LineNoise
from crystal_eyes.data.catalogue import Catalogue, artworks
from crystal_eyes.encoder.embeddings import load_heads
from crystal_eyes.encoder.runtime import OnnxEncoder
from crystal_eyes.errors import UserError
from crystal_eyes.onnx_session import open_session
from crystal_eyes.recognizer import Recognizer
from crystal_eyes.recognizer.build import build, write
from crystal_eyes.recognizer.build.build import BuiltBundle, build_bundle
from crystal_eyes.recognizer.build.fits import BUNDLE, CALIBRATION, REPORT, Fits
from crystal_eyes.recognizer.build.inputs import BundleInputs, content_digest, open_inputs
from crystal_eyes.recognizer.build.options import BundleOptions
from crystal_eyes.recognizer.bundle import CALIBRATION as CALIBRATION_FILE
from crystal_eyes.recognizer.bundle import CLASSIFIER, EXPECTED, FORMAT, LINE_NOISE, read_bundle
from crystal_eyes.recognizer.unlikeness import BLENDS
from tests.bundles import make_inputs
from tests.runs import draw_head

OPTIONS = BundleOptions(references=2, seed=0)


@pytest.fixture(scope="module")
def inputs(catalogue_folder, exported, tmp_path_factory) -> BundleInputs:
    return make_inputs(tmp_path_factory.mktemp("inputs"), Catalogue(catalogue_folder), exported[1])


@pytest.fixture(scope="module")
def built(inputs, tmp_path_factory) -> BuiltBundle:
    return build_bundle(inputs, OPTIONS, tmp_path_factory.mktemp("built") / "bundle")


def card(built: BuiltBundle) -> str:
    return (built.folder / "README.md").read_text("utf-8")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def with_embeddings(
    inputs: BundleInputs, folder: Path, array: np.ndarray | None = None, edit=lambda table: table
) -> BundleInputs:
    """The inputs with a changed copy of the embeddings."""
    shutil.copytree(inputs.embeddings, folder)
    if array is not None:
        np.save(folder / "embeddings.npy", array)
    edit(pd.read_parquet(folder / "table.parquet")).to_parquet(folder / "table.parquet")
    return replace(inputs, embeddings=folder)


def with_classifier(inputs: BundleInputs, folder: Path, name: str, characters: int = 8, first: int = 0) -> BundleInputs:
    """The inputs with another classifier: with `characters` characters, on embeddings without their first components."""
    x, table = np.load(inputs.embeddings / "embeddings.npy"), pd.read_parquet(inputs.embeddings / "table.parquet")
    names = table["character"].to_numpy(str)
    rows = (table["classifier_split"] == "train").to_numpy() & np.isin(names, np.unique(names)[:characters])
    classifier = registry.create(name, {"perceptron_epochs": 2}, 0)
    fitted.write(folder, fitted.fit(classifier, x[rows][:, first:], names[rows]))
    return replace(inputs, classifier=folder)


def test_a_built_bundle_names_the_characters_of_the_catalogue(built, inputs):
    recognizer = Recognizer.load(built.folder, threads=1)
    characters = registry.read(inputs.classifier).characters.tolist()
    assert [name for name, _ in recognizer.naming.characters] == characters and built.characters == len(characters) == 8
    assert recognizer.naming.gallery.characters == [name for name in characters for _ in range(OPTIONS.references)]
    (head,) = recognizer.recognize(draw_head(2, 0).resize((192, 192)))
    assert {one.character for one in head.candidates} <= set(characters)


def test_the_classifier_that_names_is_the_one_that_was_given(built, inputs):
    x = np.load(inputs.embeddings / "embeddings.npy")[:20]
    logits = open_session((built.folder / "classifier.onnx").read_bytes(), 1).run(None, {"embeddings": x})[0]
    given = registry.read(inputs.classifier).classifier
    given.round_to_stored()
    np.testing.assert_allclose(logits, given.logits(x), atol=1e-4)


def test_weights_are_stored_in_16_bits_and_embeddings_hardly_differ(built, inputs, catalogue):
    assert (built.folder / "encoder.onnx").stat().st_size < 0.6 * inputs.encoder.stat().st_size
    heads = load_heads(catalogue, catalogue.table(), 32)
    stored, given = OnnxEncoder(built.folder / "encoder.onnx", 1), OnnxEncoder(inputs.encoder, 1)
    assert 0 < np.abs(stored(heads) - given(heads)).max() < 1e-3
    assert stored.metadata == given.metadata


def test_an_encoder_that_16_bits_would_change_keeps_its_32(inputs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(write, "TOLERANCE", 1e-12)
    build_bundle(inputs, OPTIONS, tmp_path / "bundle")
    assert (tmp_path / "bundle" / "encoder.onnx").read_bytes() == inputs.encoder.read_bytes()
    assert "the encoder keeps 32-bit weights" in capsys.readouterr().out


def test_a_bundle_without_thumbnails_holds_no_picture_and_names_the_nearest_all_the_same(built, inputs, tmp_path):
    options = replace(OPTIONS, thumbnails=False)
    bare = build_bundle(inputs, options, tmp_path / "bundle")
    assert (bare.folder / "thumbnails.bin").read_bytes() == b"" and "no picture" in card(bare)
    assert "Thumbnails in the gallery" in card(built) and "Thumbnails in the gallery" not in card(bare)
    picture = draw_head(2, 0).resize((192, 192))
    ((one,), (other,)) = (Recognizer.load(folder, threads=1).recognize(picture) for folder in (built.folder, bare.folder))
    assert [(r.character, r.similarity) for r in one.nearest] == [(r.character, r.similarity) for r in other.nearest]
    assert all(r.thumbnail for r in one.nearest) and not any(r.thumbnail for r in other.nearest)


def test_original_names_and_training_heads_go_into_the_bundle(inputs, tmp_path):
    def named(table):
        return table.assign(original_name=np.where(table["character"] == "Character 3", "三", ""))

    read = read_bundle(build_bundle(with_embeddings(inputs, tmp_path / "in", edit=named), OPTIONS, tmp_path / "out").folder)
    assert read.original_names == ["三" if number == 3 else "" for number in range(8)]
    assert read.training_heads == [4] * 8


def test_figures_and_scores_are_reported_and_stand_on_the_card(built):
    for name in ("colour_top_1", "colour_top_5", "line_ece_after", "line_called_unknown_at_5", "colour_auroc"):
        assert 0 <= built.figures[name] <= 1
    assert built.figures["enrol_characters"] == 2
    for count in (1, 3, 5):
        for name in ("top_1", "top_5", "called_unknown_at_5"):
            assert 0 <= built.figures[f"enrol_{count}_{name}"] <= 1
    assert built.auroc_by_score.keys() == {"+".join(names) for names in BLENDS}
    assert built.auroc_by_score["+".join(built.score)] == max(built.auroc_by_score.values())
    assert f"{built.figures['colour_top_5']:.3f}" in card(built) and "one linear layer (perceptron)" in card(built)


def test_equal_inputs_give_equal_bytes_wherever_they_are(built, inputs, tmp_path):
    moved = {name: Path(shutil.copytree(getattr(inputs, name), tmp_path / name)) for name in ("embeddings", "classifier")}
    again = build_bundle(replace(inputs, **moved), OPTIONS, tmp_path / "deep" / "bundle")
    assert contents(again.folder) == contents(built.folder)


def test_the_listing_and_the_card_hold_digests_of_the_inputs_and_no_paths(built, inputs):
    source = read_bundle(built.folder).listing["source"]
    assert source.keys() == {"detector", "encoder", "embeddings", "classifier"}
    assert source["encoder"] == hashlib.sha256(inputs.encoder.read_bytes()).hexdigest()
    assert all(f"- {name}: `{digest}`" in card(built) for name, digest in source.items())
    text = card(built) + (built.folder / "bundle.json").read_text()
    assert not any(str(path) in text for path in vars(inputs).values() if path) and "runs:/" not in text


def test_a_folders_digest_is_of_its_files_names_and_contents(tmp_path):
    (tmp_path / "one" / "below").mkdir(parents=True)
    (tmp_path / "one" / "b").write_bytes(b"b")
    (tmp_path / "one" / "below" / "a").write_bytes(b"a")
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in (("b", b"b"), ("below/a", b"a"))]
    before = content_digest(tmp_path / "one")
    assert before == hashlib.sha256("".join(lines).encode()).hexdigest()
    (tmp_path / "one").rename(tmp_path / "two")
    assert content_digest(tmp_path / "two") == before
    (tmp_path / "two" / "b").rename(tmp_path / "two" / "c")
    assert content_digest(tmp_path / "two") != before


@pytest.mark.parametrize("name", ["lda", "logistic_regression"])
def test_any_linear_classifier_can_name(inputs, tmp_path, name):
    done = build_bundle(with_classifier(inputs, tmp_path / name, name), OPTIONS, tmp_path / "bundle")
    assert f"one linear layer ({name})" in card(done) and Recognizer.load(done.folder, 1)
    # only with the layer of expected points, heads in line art or gray have logits of their own, and all are of one length
    assert read_bundle(done.folder).has(LINE_NOISE) == (done.folder / LINE_NOISE).exists() == (name == "lda")
    assert read_bundle(done.folder).json(CALIBRATION_FILE).get("one_length", False) == (name == "lda")
    assert 0 <= done.figures["degraded_top_1"] <= done.figures["degraded_top_5"] <= 1
    assert f"Of {done.figures['degraded_heads']:.0f} colored heads that were made small" in card(done)


def test_how_line_art_varies_is_learned_from_sketches_of_training_heads(inputs, tmp_path, monkeypatch):
    """Not from heads that are calibrated or measured with."""
    seen, given = [], []
    fit, heads_of = LineNoise.fit.__func__, build.labeled_heads
    monkeypatch.setattr(LineNoise, "fit", classmethod(lambda *some: seen.append(len(some[2])) or fit(*some)))
    monkeypatch.setattr(build, "labeled_heads", lambda *some: given.append(some) or heads_of(*some))
    options = replace(OPTIONS, fit_all_heads=True)
    done = build_bundle(with_classifier(inputs, tmp_path / "lda", "lda"), options, tmp_path / "bundle")
    data = open_inputs(with_classifier(inputs, tmp_path / "again", "lda"))
    names, train, (rows,) = np.unique(data.characters), data.roles["train"], [one[1] for one in given if one[3:] == (4000,)]
    assert rows.tolist() == train.tolist()
    assert max(seen) == len(train)
    d = data.embeddings.shape[1]
    stored, changes = np.load(done.folder / LINE_NOISE), read_bundle(done.folder).json(CALIBRATION_FILE)["line_bias_changes"]
    assert stored.dtype == np.float16 and stored.shape == (d, d) and len(changes) == len(names)
    # the changes are those of the characters' points: of all heads
    expected = ExpectedPoints.from_stored(np.load(done.folder / EXPECTED), one_length=True)
    heads = [expected.scaled(data.embeddings[data.characters == name]) for name in names]
    means, counts = np.stack([one.mean(axis=0) for one in heads]), np.array([len(one) for one in heads])
    np.testing.assert_allclose(LineNoise.from_stored(expected, stored).bias_changes(means, counts), changes, atol=1e-3)


def test_with_fewer_line_art_heads_than_dimensions_a_bundle_names_them_as_colored_ones(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "LEARNED", 3)
    done = build_bundle(with_classifier(inputs, tmp_path / "lda", "lda"), OPTIONS, tmp_path / "bundle")
    assert not read_bundle(done.folder).has(LINE_NOISE) and Recognizer.load(done.folder, 1)


def test_how_colored_heads_vary_is_learned_from_degraded_training_heads(inputs, tmp_path, monkeypatch):
    given = []
    heads_of = build.degraded_heads
    monkeypatch.setattr(build, "degraded_heads", lambda *some: given.append(some) or heads_of(*some))
    done = build_bundle(with_classifier(inputs, tmp_path / "lda", "lda"), OPTIONS, tmp_path / "bundle")
    data = open_inputs(with_classifier(inputs, tmp_path / "again", "lda"))
    (_, train, seed, _), (_, report, *_) = given
    assert train.tolist() == data.roles["train"].tolist() and report.tolist() == data.roles["report"].tolist()
    some = heads_of(data, train, seed, 4000)
    names, labels = np.unique(data.characters[train], return_inverse=True)
    expected = ExpectedPoints.fit(data.embeddings[train], labels, (some.embeddings, np.searchsorted(names, some.characters)))
    np.testing.assert_allclose(np.load(done.folder / EXPECTED), expected.stored(), rtol=2e-2, atol=2e-2)
    # the bundle's layer is that of these points
    lda = Lda(Lda.Options(), 0)
    lda.fit_to(expected, data.embeddings[train], labels)
    logits = onnxruntime.InferenceSession(done.folder / CLASSIFIER).run(None, {"embeddings": data.embeddings[:9]})[0]
    np.testing.assert_allclose(logits, lda.logits(data.embeddings[:9]), rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("name", ["faiss", "tip_adapter"])
def test_a_classifier_that_is_not_linear_is_refused(inputs, tmp_path, name):
    with pytest.raises(UserError, match=f"a bundle needs a linear classifier .perceptron, lda.* is {name}"):
        build_bundle(with_classifier(inputs, tmp_path / name, name), OPTIONS, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"characters": 7}, "it has 7 characters and 16 dimensions, but their training part has 8 and 16"),
     ({"first": 1}, "it has 8 characters and 15 dimensions, but their training part has 8 and 16")],
)  # fmt: skip
def test_a_classifier_of_other_embeddings_is_refused(inputs, tmp_path, changes, says):
    with pytest.raises(UserError, match=f"was not fitted on the embeddings .*: {says}") as caught:
        build_bundle(with_classifier(inputs, tmp_path / "other", "perceptron", **changes), OPTIONS, tmp_path / "bundle")
    assert "\n" not in str(caught.value)


def test_a_classifier_of_as_many_other_characters_is_refused(inputs, tmp_path):
    shutil.copytree(inputs.classifier, tmp_path / "other")
    names = tmp_path / "other" / "characters.csv"
    names.write_text(names.read_text().replace("Character 7", "Character 9"))
    with pytest.raises(UserError, match="was not fitted on the embeddings"):
        build_bundle(replace(inputs, classifier=tmp_path / "other"), OPTIONS, tmp_path / "bundle")


def test_embeddings_of_another_encoder_are_refused(inputs, tmp_path):
    x = np.load(inputs.embeddings / "embeddings.npy")
    for number, other in enumerate((-x, x[:, 1:])):
        with pytest.raises(UserError, match=f"embeddings {tmp_path}.* were not made with the encoder .*encoder.onnx"):
            build_bundle(with_embeddings(inputs, tmp_path / str(number), other), OPTIONS, tmp_path / "bundle")


def test_too_few_test_heads_are_refused(inputs, tmp_path):
    changed = with_embeddings(inputs, tmp_path / "few", edit=lambda table: table.assign(classifier_split="train"))
    with pytest.raises(UserError, match="too few test heads to calibrate and evaluate"):
        build_bundle(changed, OPTIONS, tmp_path / "bundle")


def test_what_an_interrupted_build_left_is_replaced(built, inputs, tmp_path):
    (tmp_path / "bundle" / "enrolled").mkdir(parents=True)
    (tmp_path / "bundle" / "stray.bin").write_bytes(b"partial")
    build_bundle(inputs, OPTIONS, tmp_path / "bundle")
    assert contents(tmp_path / "bundle") == contents(built.folder)
    assert json.loads((tmp_path / "bundle" / "bundle.json").read_text())["format"] == FORMAT


@pytest.fixture(scope="module")
def of_all_heads(inputs, tmp_path_factory) -> BuiltBundle:
    options = replace(OPTIONS, fit_all_heads=True)
    return build_bundle(inputs, options, tmp_path_factory.mktemp("all") / "bundle")


def test_a_bundle_of_all_heads_holds_a_classifier_fitted_on_all_of_them(of_all_heads, inputs):
    table = pd.read_parquet(inputs.embeddings / "table.parquet")
    counts = table.groupby("character").size()
    read = read_bundle(of_all_heads.folder)
    assert read.training_heads == counts[[name for name, _ in read.characters]].tolist()
    x = np.load(inputs.embeddings / "embeddings.npy")
    expected = registry.read(inputs.classifier).classifier.unfitted()
    expected.fit(x, np.unique(table["character"].to_numpy(str), return_inverse=True)[1])
    logits = open_session((of_all_heads.folder / "classifier.onnx").read_bytes(), 1).run(None, {"embeddings": x})[0]
    np.testing.assert_allclose(logits, expected.logits(x), atol=0.05)  # 16-bit weights
    means = np.load(of_all_heads.folder / "means.npy").astype(np.float32)
    one = x[(table["character"] == read.characters[2][0]).to_numpy()].mean(axis=0)
    np.testing.assert_allclose(means[2], one / np.linalg.norm(one), atol=2e-3)


def test_calibration_and_figures_of_a_bundle_of_all_heads_come_from_classifiers_that_have_not_seen_the_heads(inputs):
    data = open_inputs(inputs)
    fits = Fits(data, 2, all_heads=True)
    drawn = artworks(data.table).astype(str)
    for part in (CALIBRATION, REPORT):
        own = data.roles[part]
        assert not set(drawn[fits.rows[part]]) & set(drawn[own]) and len(fits.rows[part]) + len(own) <= len(data.table)
        assert len(fits.rows[part]) > len(data.roles["train"])
        assert fits(part) is fits(part) is not fits(BUNDLE)
        away = np.unique(data.characters)[:3]
        assert not set(fits(part, away).names) & set(away) and len(fits(part, away).names) == 5
    usual = Fits(data, 2, all_heads=False)
    assert usual(BUNDLE) is usual(CALIBRATION) is usual(REPORT) and usual(BUNDLE).classifier is data.classifier


def test_the_results_of_each_set_are_of_all_test_heads(built, of_all_heads, inputs):
    tested = (pd.read_parquet(inputs.embeddings / "table.parquet")["classifier_split"] == "test").sum()
    for one in (built, of_all_heads):
        first = one.by_set.iloc[0]
        assert first["tested"] == tested and first["characters"] == 8 and 0 <= first["top_1"] <= first["top_5"] <= 1
    assert of_all_heads.by_set["heads"][0] > built.by_set["heads"][0]
    calibration = [json.loads((one.folder / "calibration.json").read_text()) for one in (built, of_all_heads)]
    assert calibration[0]["colour"] != calibration[1]["colour"]  # not those of the split


def test_the_card_believes_an_encoder_only_if_it_names_this_catalogue(built, inputs, tmp_path):
    assert "was not trained on exactly this catalogue" in card(built)
    again = build_bundle(replace(inputs, catalogue_digest="0123"), OPTIONS, tmp_path / "bundle")
    assert "on none of those for calibration and figures" in card(again)
