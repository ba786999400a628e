"""Builds a bundle: detector, encoder and classifier, calibrated and evaluated, in one folder."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from crystal_eyes.classifiers.lda import Lda
from crystal_eyes.encoder.degradation import degraded
from crystal_eyes.encoder.embeddings import embed_changed
from crystal_eyes.encoder.sketches import gray, lines
from crystal_eyes.recognizer.build.by_set import Tested, accuracy_by_set
from crystal_eyes.recognizer.build.calibrate import calibrate
from crystal_eyes.recognizer.build.choose_unlikeness import choose_unlikeness
from crystal_eyes.recognizer.build.enroll_again import enroll_again, fit_enrolled_logits
from crystal_eyes.recognizer.build.enrolled_standard import enrolled_called_unknown, fit_enrolled_unlikeness
from crystal_eyes.recognizer.build.fits import BUNDLE, CALIBRATION, REPORT, Fits
from crystal_eyes.recognizer.build.inputs import BundleData, BundleInputs, open_inputs
from crystal_eyes.recognizer.build.labeled_heads import COLOR, LINE, LabeledHeads
from crystal_eyes.recognizer.build.measure import (
    measure_degraded,
    measure_known,
    measure_strangers,
    measure_verdicts,
    unlikeness_by_kind,
)
from crystal_eyes.recognizer.build.model_card import model_card
from crystal_eyes.recognizer.build.options import BundleOptions
from crystal_eyes.recognizer.build.temperature import fit_temperature
from crystal_eyes.recognizer.build.write import calibration_values, write_bundle
from crystal_eyes.recognizer.unlikeness import Unlikeness

CHANGED = 1000  # heads that are made sketches for each of calibration, report and strangers, and degraded for the report
LEARNED = 4000  # and to learn how heads in line art or gray, and degraded ones, vary


@dataclass(frozen=True)
class BuiltBundle:
    folder: Path
    characters: int
    figures: dict[str, float]  # measured on heads that were not used for tuning
    by_set: pd.DataFrame  # of all test heads: see accuracy_by_set
    score: tuple[str, ...]  # names of the scores that unlikeness adds up
    auroc_by_score: dict[str, float]  # of every blend of scores that was tried
    auroc_by_distance: dict[str, float]  # of every distance from an enrolled character that was tried


def build_bundle(inputs: BundleInputs, options: BundleOptions, folder: Path) -> BuiltBundle:
    """Write a bundle to folder, which is replaced. Raises UserError where the inputs don't belong together."""
    data = open_inputs(inputs)
    roles = data.roles
    line = worse = None
    if isinstance(data.classifier, Lda):  # no other one is told how they vary
        line = labeled_heads(data, roles["train"], options.seed, LEARNED).of_kind(LINE)
        worse = degraded_heads(data, roles["train"], options.seed, LEARNED)
    fits = Fits(data, options.references, options.fit_all_heads, line=line, degraded=worse)
    known = fits(BUNDLE)
    calibration, report = (labeled_heads(data, roles[role], options.seed) for role in ("calibration", "report"))
    strangers = {part: labeled_heads(data, roles[f"strangers_{part}"], options.seed) for part in ("choose", "report")}

    # the unlikeness of strangers is measured with a classifier that was fitted without them
    away = np.unique(np.concatenate([part.characters for part in strangers.values()]))
    fewer = {"choose": fits(CALIBRATION, away), "report": fits(REPORT, away)}
    others = {
        "choose": calibration[~np.isin(calibration.characters, away)],
        "report": report[~np.isin(report.characters, away)],
    }
    if not len(others["choose"]):  # with few characters, all calibration heads may be strangers'
        others["choose"] = labeled_heads(data, fits.rows_without(CALIBRATION, away), options.seed)
    chosen, auroc = choose_unlikeness(fewer["choose"], others["choose"], strangers["choose"])

    test = data.table["classifier_split"].to_numpy(dtype=str)
    enroll, held_out, shown = {}, {}, {}
    for part in ("choose", "report"):
        rows = roles[f"strangers_{part}"]
        held_out[part] = labeled_heads(data, rows[test[rows] == "test"], options.seed)
        shown[part] = labeled_heads(data, rows[test[rows] == "train"], options.seed, 0)
        enroll[part] = enroll_again(fewer[part], others[part].colored(), held_out[part].colored(), shown[part])
    enrolled_logits = fit_enrolled_logits(fewer["choose"], enroll["choose"], others["choose"].colored())
    enrolled_unlikeness, enrolled_auroc = fit_enrolled_unlikeness(fewer["choose"], held_out["choose"], shown["choose"])

    calibrating, reporting = fits(CALIBRATION), fits(REPORT)
    unlikeness = Unlikeness.fit(chosen.names, calibrating.evidence(calibration.colored()), chosen.weights)
    strange = unlikeness_by_kind(fewer["choose"], chosen, strangers["choose"])
    calibrations = calibrate(calibrating, unlikeness, calibration, strange)
    figures = measure_known(reporting, unlikeness, calibrations, report)
    figures |= measure_degraded(reporting, degraded_heads(data, roles["report"], options.seed, CHANGED))
    figures |= measure_strangers(fewer["report"], chosen, others["report"], strangers["report"])
    # the prefix is spelled as in existing stores
    figures |= {f"enrol_{name}": value for name, value in enroll["report"](enrolled_logits.by_point).items()}
    verdicts = calibrate(fewer["choose"], chosen, others["choose"], strange)
    figures |= measure_verdicts(fewer["report"], chosen, verdicts, others["report"], strangers["report"])
    asked = held_out["report"].colored()
    standard = fewer["report"].enrolled_unlikeness()
    standard = enrolled_unlikeness.lenient(standard) if enrolled_unlikeness else standard
    unknown = enrolled_called_unknown(fewer["report"], chosen, verdicts[COLOR], standard, asked, shown["report"])
    figures |= {f"enrol_{name}": value for name, value in unknown.items()}

    # each half of the test heads is measured with the temperature of the other one
    logits = reporting.logits(report.colored())
    temperature = fit_temperature(logits, reporting.labels(report.colored().characters))
    tested = [
        Tested(calibrating, calibration[~calibration.sketch], roles["calibration"], temperature),
        Tested(reporting, report[~report.sketch], roles["report"], calibrations[COLOR].temperature),
    ]
    by_set = accuracy_by_set(data.table, fits.rows[BUNDLE], tested)

    source = inputs.digests()
    trained_here = data.encoder.metadata.get("training_catalogue", "") == inputs.catalogue_digest != ""
    card = model_card(
        data.table, roles, figures, chosen.names, data.classifier.name, source, options, fits.rows[BUNDLE], by_set, trained_here
    )
    if enrolled_unlikeness:
        enrolled_unlikeness = enrolled_unlikeness.lenient(known.enrolled_unlikeness())
    values = calibration_values(unlikeness, enrolled_logits, calibrations, enrolled_unlikeness)
    write_bundle(folder, inputs, data, known, fits.rows[BUNDLE], values, card, source, options.thumbnails)
    return BuiltBundle(folder, len(known.names), figures, by_set, chosen.names, auroc, enrolled_auroc)


def labeled_heads(data: BundleData, rows: np.ndarray, seed: int, sketches: int = CHANGED) -> LabeledHeads:
    """The heads of some rows, and sketches made from up to `sketches` of the colored ones."""
    line = data.table["monochrome"].to_numpy(bool)[rows]
    own = LabeledHeads(data.embeddings[rows], data.characters[rows], line, np.zeros(len(rows), bool))
    chosen = _some_colored(data, rows, seed, sketches)
    return own.with_sketches(embed_changed(data.encoder, data.pictures(rows[chosen], "make sketches"), (gray, lines)), chosen)


def degraded_heads(data: BundleData, rows: np.ndarray, seed: int, count: int) -> LabeledHeads:
    """Up to `count` of the colored heads of some rows, degraded."""
    chosen = rows[_some_colored(data, rows, seed, count)]
    rng = np.random.default_rng(seed)
    pictures = data.pictures(chosen, "degrade heads")
    embeddings = embed_changed(data.encoder, pictures, (lambda picture: degraded(picture, rng),))
    none = np.zeros(len(chosen), bool)
    return LabeledHeads(embeddings, data.characters[chosen], none, none)


def _some_colored(data: BundleData, rows: np.ndarray, seed: int, count: int) -> np.ndarray:
    """int, sorted: places in rows."""
    colored = np.flatnonzero(~data.table["monochrome"].to_numpy(bool)[rows])
    return np.sort(np.random.default_rng(seed).permutation(colored)[:count])
