"""bundle: detector, encoder and classifier in one calibrated folder that recognises pictures, measured on heads kept apart."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from crystal_eyes.encoder.recipes import RECIPES
from PIL import Image

from crystal_eyes import classifiers
from crystal_eyes.artifacts import is_uri
from crystal_eyes.classifiers.linear import Linear
from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.detector import runtime as runner
from crystal_eyes.encoder.embeddings import embed_sketches, load_heads, read_embeddings
from crystal_eyes.encoder.runtime import OnnxEncoder
from crystal_eyes.errors import UserError
from crystal_eyes.images import flatten, open_picture
from crystal_eyes.progress import track
from crystal_eyes.recognizer import bundle as files
from crystal_eyes.recognizer import gallery
from crystal_eyes.recognizer.build import bundling
from crystal_eyes.recognizer.build.bundling import Heads, Known
from crystal_eyes.recognizer.build.model_card import model_card
from pipeline.parameters import declare as parameters
from pipeline.parameters.steps import Bundle, Classify
from pipeline.step import run_step

CHECKED = 8  # heads that are embedded again
SKETCHES = 1000  # made for each of calibration, report and strangers


def bundle(config: Bundle, inputs: Mapping[str, Path | None], workspace: Path) -> dict[str, Path]:
    embeddings, arrow = read_embeddings(inputs["embeddings"])
    table, catalogue = arrow.to_pandas(), Catalogue(inputs["catalogue"])
    encoder = OnnxEncoder(only(inputs["onnx"], "*.onnx", config.onnx))
    check_belongs(encoder, embeddings, table, catalogue, config)
    rows, character = bundling.parts(table), table["character"].to_numpy(dtype=str)
    if not len(rows["calibration"]) or not len(rows["report"]):
        raise UserError(f"{config.embeddings}: too few test heads to calibrate on: run prepare on more pictures")

    def heads(some: np.ndarray, sketches: int = SKETCHES) -> Heads:
        mine = table.iloc[some]
        own = Heads(embeddings[some], character[some], mine["monochrome"].to_numpy(bool), np.zeros(len(some), bool))
        coloured = np.flatnonzero(~own.line)
        chosen = np.sort(np.random.default_rng(config.seed).permutation(coloured)[:sketches])
        made = embed_sketches(encoder, pictures(catalogue, mine.iloc[chosen], "make sketches"))
        return own.and_made(made, chosen)

    def known_from(some: np.ndarray) -> Known:
        layer = fitted(config, embeddings[some], character[some])
        return Known(layer, embeddings[some], character[some], config.references)

    known = known_from(rows["train"])
    calibration, report = heads(rows["calibration"]), heads(rows["report"])
    strangers = {part: heads(rows[f"strangers_{part}"]) for part in ("choose", "report")}

    # the same without the strangers
    away = np.unique(np.concatenate([part.characters for part in strangers.values()]))
    stay = rows["train"][~np.isin(character[rows["train"]], away)]
    print(f"fits a classifier without the {len(away)} characters that are strangers in this measurement", flush=True)
    fewer = known_from(stay)
    others = {
        "choose": calibration[~np.isin(calibration.characters, away)],
        "report": report[~np.isin(report.characters, away)],
    }
    if not len(others["choose"].line):  # so few pictures that all calibration heads are strangers'
        others["choose"] = heads(stay)
    chosen, tried = bundling.choose_unlikeness(fewer, others["choose"], strangers["choose"])
    strange = {kind: chosen(fewer.evidence(strangers["choose"].kind(kind).embeddings)) for kind in bundling.KINDS}
    side = table["classifier_split"].to_numpy(dtype=str)
    enrol = {}
    for part in ("choose", "report"):
        learned, unseen = (rows[f"strangers_{part}"][side[rows[f"strangers_{part}"]] == one] for one in ("train", "test"))
        enrol[part] = bundling.enrol_again(fewer, others[part].coloured(), heads(unseen, 0), heads(learned, 0))
    enrolled_logits = bundling.fit_enrolled_logits(fewer, enrol["choose"], others["choose"].coloured())

    unlikeness = type(chosen).fit(chosen.names, known.evidence(calibration.coloured().embeddings))
    calibrated = bundling.calibrate(known, unlikeness, calibration, strange)
    figures = bundling.report(known, unlikeness, calibrated, report)
    figures |= bundling.report_strangers(fewer, chosen, others["report"], strangers["report"])
    figures |= {f"enrol_{name}": value for name, value in enrol["report"](enrolled_logits).items()}
    mlflow.log_metrics({name: value for name, value in figures.items() if np.isfinite(value)})
    mlflow.log_metrics({f"auroc_choose/{name.replace('+', '_and_')}": value for name, value in tried.items()})
    mlflow.log_param("unlikeness", "+".join(chosen.names))

    folder = workspace / "bundle"
    shutil.rmtree(folder, ignore_errors=True)  # half of one
    folder.mkdir()
    shutil.copy(only(inputs["detector"], runner.FILE, config.detector), folder / files.DETECTOR)
    shutil.copy(only(inputs["onnx"], "*.onnx", config.onnx), folder / files.ENCODER)
    known.layer.export_onnx(folder / files.CLASSIFIER)
    series = table.groupby("character")["series"].first()
    write_json(folder / files.CHARACTERS, [[name, series[name]] for name in known.names])
    np.save(folder / files.MEANS, known.means, allow_pickle=False)
    shown = table.iloc[rows["train"][known.references]]
    gallery.write(folder, known.gallery, shown["character"].tolist(), list(pictures(catalogue, shown, "make thumbnails")))
    write_json(folder / files.CALIBRATION,
               {"unlikeness": unlikeness.as_dict(), "enrolled_logits": vars(enrolled_logits),
                **{kind: one.as_dict() for kind, one in calibrated.items()}})  # fmt: skip
    source = {name: value if is_uri(value) else Path(value).name for name, value in parameters.inputs(config).items()}
    card = model_card(table, rows, figures, "+".join(chosen.names), RECIPES[config.recipe].classifier, source)
    (folder / files.CARD).write_text(card, "utf-8")
    mlflow.log_artifact(str(folder / files.CARD))
    files.write_listing(folder, source, [path.name for path in folder.iterdir()])
    size = sum(path.stat().st_size for path in folder.iterdir())
    mlflow.log_metric("bundle_bytes", size)
    print(f"bundle: {len(known.names)} characters, {size / 1e6:.1f} MB\n{bundling.summary(figures)}")
    return {"bundle": folder}


def check_belongs(
    encoder: OnnxEncoder, embeddings: np.ndarray, table: pd.DataFrame, catalogue: Catalogue, config: Bundle
) -> None:
    """Raises UserError where the encoder gives other embeddings of the first heads: every answer would be noise."""
    again, given = encoder(load_heads(catalogue, table.head(CHECKED), encoder.image_size)), embeddings[:CHECKED]
    if again.shape != given.shape or np.abs(again - given).max() > 0.01:
        raise UserError(f"{config.embeddings} was not made with {config.onnx}: give the embeddings of this encoder")


def fitted(config: Bundle, embeddings: np.ndarray, characters: np.ndarray) -> Linear:
    """The recipe's classifier, fitted on embeddings float32 [n, d] of characters (names [n])."""
    layer = classifiers.create(
        Classify(
            classifier=RECIPES[config.recipe].classifier,
            perceptron_epochs=config.perceptron_epochs,
            perceptron_learning_rate=config.perceptron_learning_rate,
            logistic_regression_c=config.logistic_regression_c,
            seed=config.seed,
        )
    )
    layer.fit(embeddings, np.unique(characters, return_inverse=True)[1])
    return layer


def only(path: Path, pattern: str, given: str) -> Path:
    """The one file that an input names, or that lies in it."""
    found = [path] if path.is_file() else list(path.rglob(pattern))
    if len(found) != 1:
        raise UserError(f"{given} holds {len(found)} files {pattern}: name one")
    return found[0]


def pictures(catalogue: Catalogue, rows: pd.DataFrame, label: str) -> Iterator[Image.Image]:
    places = zip(rows["offset"], rows["length"], rows["digest"])
    for place in track(places, len(rows), label, "pictures") if len(rows) else ():
        yield flatten(open_picture(catalogue.read(*place)))


def write_json(path: Path, values) -> None:
    path.write_text(json.dumps(values, ensure_ascii=False, indent=1), "utf-8")


if __name__ == "__main__":
    run_step("bundle", Bundle, bundle)
