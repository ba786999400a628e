"""A small real bundle, built quickly and without MLflow."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crystal_eyes.classifiers import fitted, registry
from crystal_eyes.classifiers.expected_points import ExpectedPoints
from crystal_eyes.classifiers.line_noise import LineNoise
from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder.embeddings import embed_catalogue, embed_changed, read_embeddings
from crystal_eyes.encoder.runtime import OnnxEncoder
from crystal_eyes.encoder.sketches import gray, lines
from crystal_eyes.recognizer import bundle, gallery
from crystal_eyes.recognizer.build.calibrate import calibrate
from crystal_eyes.recognizer.build.choose_unlikeness import choose_unlikeness
from crystal_eyes.recognizer.build.inputs import BundleInputs, open_inputs
from crystal_eyes.recognizer.build.known import KnownCharacters
from crystal_eyes.recognizer.build.labeled_heads import LabeledHeads
from crystal_eyes.recognizer.build.write import calibration_values, write_bundle
from crystal_eyes.recognizer.enrolled_logits import EnrolledLogits, Line
from tests.runs import HEAD_DETECTOR

REFERENCES = 2
TEMPERATURES = {"colour": 1.5, "line": 4.0}
ORIGINAL = {1: "キャラクター １"}  # original names by number of the character
PERCEPTRON = {"perceptron_epochs": 300, "perceptron_learning_rate": 1e-1}


def make_inputs(
    folder: Path, catalogue: Catalogue, encoder: Path, classifier: str = "perceptron", options: Mapping[str, Any] = PERCEPTRON
) -> BundleInputs:
    """Embeddings of a catalogue and a classifier fitted on them, in a folder, as a bundle is built from them."""
    embed_catalogue(OnnxEncoder(encoder), catalogue, folder / "embeddings", 64)
    embeddings, arrow = read_embeddings(folder / "embeddings")
    table = arrow.to_pandas()
    train = np.flatnonzero(table["classifier_split"] == "train")
    made = registry.create(classifier, options, 0)
    fitted.write(folder / "classifier", fitted.fit(made, embeddings[train], table["character"].to_numpy(str)[train]))
    return BundleInputs(
        HEAD_DETECTOR / "detector.onnx", encoder, folder / "embeddings", folder / "classifier", catalogue.folder
    )


def make_bundle(folder: Path, catalogue: Catalogue, encoder: Path) -> Path:
    """Write a bundle of a catalogue's characters to folder; encoder: its ONNX file. Returns folder.

    Every other character has a series. The strangers that calibrate it are heads turned upside down.
    """
    inputs = make_inputs(folder.with_name(f"{folder.name}.inputs"), catalogue, encoder)
    data = open_inputs(inputs)
    train, some = data.roles["train"], data.roles["calibration"]
    known = KnownCharacters(data.classifier, data.embeddings[train], data.characters[train], REFERENCES)
    line = data.table["monochrome"].to_numpy(bool)[some]
    heads = LabeledHeads(data.embeddings[some], data.characters[some], line, np.zeros(len(some), bool))
    sketches = embed_changed(data.encoder, data.pictures(some, "make sketches"), (gray, lines))
    heads = heads.with_sketches(sketches, np.arange(len(some)))
    turned = [one.transpose(Image.Transpose.FLIP_TOP_BOTTOM) for one in data.pictures(np.arange(8), "turn pictures")]
    strange = data.encoder(np.stack([np.asarray(picture.resize((32, 32))) for picture in turned]))
    strangers = LabeledHeads(strange, data.characters[:8], np.zeros(8, bool), np.ones(8, bool))
    unlikeness, _ = choose_unlikeness(known, heads, strangers)
    scores = unlikeness(known.evidence(strangers))
    calibrations = calibrate(known, unlikeness, heads, {"colour": scores, "line": scores[:4]})
    # so few heads calibrate to next to no certainty, with which candidates would hardly differ
    calibrations = {kind: replace(one, temperature=TEMPERATURES[kind]) for kind, one in calibrations.items()}
    values = calibration_values(unlikeness, EnrolledLogits(Line(20.0, -18.0), known.expected, Line(25.0, 2.0)), calibrations)
    write_bundle(folder, inputs, data, known, train, values, "# A small bundle\n", inputs.digests())

    rows = json.loads((folder / bundle.CHARACTERS).read_text("utf-8"))
    for label, row in enumerate(rows):
        row[1:3] = f"Series {label}" if label % 2 else "", ORIGINAL.get(label, "")
    bundle.write_characters(folder, rows)
    listing = json.loads((folder / bundle.LISTING).read_text())
    bundle.write_listing(folder, listing["source"], list(listing["files"]))
    return folder


def add_character(folder: Path, name: str, series: str, embeddings: np.ndarray, heads: list[Image.Image]) -> None:
    """Put a character into a bundle as enrollment does. embeddings: float32 [n, d] of heads."""
    own = folder / bundle.ENROLLED / name.lower()
    gallery.write(own, embeddings, [name] * len(heads), heads)
    (own / bundle.CHARACTER).write_text(json.dumps({"character": name, "series": series}))
    listing = json.loads((folder / bundle.LISTING).read_text())
    added = [path.relative_to(folder).as_posix() for path in own.iterdir()]
    bundle.write_listing(folder, listing["source"], [*listing["files"], *added])


def add_line_noise(folder: Path, seed: int = 0) -> None:
    """Put made-up noise of line art into a bundle without it."""
    listing, values = (json.loads((folder / name).read_text("utf-8")) for name in (bundle.LISTING, bundle.CALIBRATION))
    expected = ExpectedPoints.from_stored(np.load(folder / bundle.EXPECTED), values.get(bundle.ONE_LENGTH, False))
    rng, d = np.random.default_rng(seed), len(expected.center)
    noise = LineNoise.fit(expected, rng.normal(size=(200, d)) @ rng.normal(size=(d, d)) * 0.1)
    np.save(folder / bundle.LINE_NOISE, noise.stored())
    values["line_bias_changes"] = rng.normal(size=len(json.loads((folder / bundle.CHARACTERS).read_text("utf-8")))).tolist()
    (folder / bundle.CALIBRATION).write_text(json.dumps(values), "utf-8")
    bundle.write_listing(folder, listing["source"], [*listing["files"], bundle.LINE_NOISE])


def bring_to_one_length(folder: Path) -> None:
    """Have a bundle scale embeddings by its expected points."""
    listing, values = (json.loads((folder / name).read_text("utf-8")) for name in (bundle.LISTING, bundle.CALIBRATION))
    (folder / bundle.CALIBRATION).write_text(json.dumps(values | {bundle.ONE_LENGTH: True}), "utf-8")
    more = {key: value for key, value in listing.items() if key not in ("format", "source", "files")}
    bundle.write_listing(folder, listing["source"], list(listing["files"]), **more)
