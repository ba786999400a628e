"""A small real bundle, made in a moment and without MLflow."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from crystal_eyes.classifiers.perceptron import Perceptron
from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder.embeddings import embed_catalogue, embed_sketches, read_embeddings
from crystal_eyes.encoder.runtime import OnnxEncoder
from crystal_eyes.images import flatten, open_picture
from crystal_eyes.recognizer import bundle, gallery
from crystal_eyes.recognizer.build import bundling
from crystal_eyes.recognizer.build.bundling import Heads, Known
from crystal_eyes.recognizer.naming import EnrolledLogits
from tests.runs import HEAD_DETECTOR

REFERENCES = 2
TEMPERATURES = {"colour": 1.5, "line": 4.0}


def make_bundle(folder: Path, catalogue: Catalogue, encoder: Path) -> Path:
    """Write a bundle over a catalogue's characters to folder, which must not exist; encoder: its ONNX file. Returns folder.

    Every other character has a series. The strangers that calibrate it are the heads turned upside down.
    """
    folder.mkdir(parents=True)
    work = folder.with_name(f"{folder.name}.embeddings")
    embed_catalogue(OnnxEncoder(encoder), catalogue, work, 64)
    embeddings, arrow = read_embeddings(work)
    table = arrow.to_pandas()
    rows, character = bundling.parts(table), table["character"].to_numpy(str)
    pictures = [flatten(open_picture(catalogue.read(*p))) for p in zip(table["offset"], table["length"], table["digest"])]

    train = rows["train"]
    perceptron = Perceptron(300, 1e-1, 0)
    perceptron.fit(embeddings[train], np.unique(character[train], return_inverse=True)[1])
    known = Known(perceptron, embeddings[train], character[train], REFERENCES)
    some = rows["calibration"]
    heads = Heads(embeddings[some], character[some], table["monochrome"].to_numpy(bool)[some], np.zeros(len(some), bool))
    heads = heads.and_made(embed_sketches(OnnxEncoder(encoder), [pictures[row] for row in some]), np.arange(len(some)))
    turned = [picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM) for picture in pictures[:8]]
    strange = OnnxEncoder(encoder)(np.stack([np.asarray(picture.resize((32, 32))) for picture in turned]))
    unlikeness, _ = bundling.choose_unlikeness(known, heads, Heads(strange, character[:8], np.zeros(8, bool), np.ones(8, bool)))
    scores = unlikeness(known.evidence(strange))
    calibration = bundling.calibrate(known, unlikeness, heads, {"colour": scores, "line": scores[:4]})

    shutil.copy(HEAD_DETECTOR / "detector.onnx", folder / bundle.DETECTOR)
    shutil.copy(encoder, folder / bundle.ENCODER)
    perceptron.export_onnx(folder / bundle.CLASSIFIER)
    series = [[name, f"Series {label}" if label % 2 else ""] for label, name in enumerate(known.names.tolist())]
    (folder / bundle.CHARACTERS).write_text(json.dumps(series))
    np.save(folder / bundle.MEANS, known.means)
    shown = train[known.references]
    gallery.write(folder, known.gallery, character[shown], [pictures[row] for row in shown])
    values = {"unlikeness": unlikeness.as_dict(), "enrolled_logits": vars(EnrolledLogits(20.0, -12.0))}
    # so few heads calibrate to next to no certainty, with which candidates would hardly differ
    values |= {kind: replace(one, temperature=TEMPERATURES[kind]).as_dict() for kind, one in calibration.items()}
    (folder / bundle.CALIBRATION).write_text(json.dumps(values))
    (folder / bundle.CARD).write_text("# A small bundle\n")
    bundle.write_listing(folder, {"encoder": encoder.name}, [path.name for path in folder.iterdir()])
    shutil.rmtree(work)
    return folder


def add_character(folder: Path, name: str, series: str, embeddings: np.ndarray, heads: list[Image.Image]) -> None:
    """Put a character into a bundle as enrolment lays it down. embeddings: float32 [n, d] of heads."""
    own = folder / bundle.ENROLLED / name.lower()
    gallery.write(own, embeddings, [name] * len(heads), heads)
    (own / bundle.CHARACTER).write_text(json.dumps({"character": name, "series": series}))
    listing = json.loads((folder / bundle.LISTING).read_text())
    added = [path.relative_to(folder).as_posix() for path in own.iterdir()]
    bundle.write_listing(folder, listing["source"], [*listing["files"], *added])
