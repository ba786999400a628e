"""Builds a bundle: detector, encoder and classifier, calibrated and evaluated, in one folder."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crystal_eyes.encoder.embeddings import embed_sketches
from crystal_eyes.recognizer.build.calibrate import calibrate
from crystal_eyes.recognizer.build.choose_unlikeness import choose_unlikeness
from crystal_eyes.recognizer.build.enroll_again import enroll_again, fit_enrolled_logits
from crystal_eyes.recognizer.build.enrolled_standard import enrolled_called_unknown, fit_enrolled_unlikeness
from crystal_eyes.recognizer.build.inputs import BundleData, BundleInputs, open_inputs
from crystal_eyes.recognizer.build.known import KnownCharacters
from crystal_eyes.recognizer.build.labeled_heads import LabeledHeads
from crystal_eyes.recognizer.build.measure import measure_known, measure_strangers, unlikeness_by_kind
from crystal_eyes.recognizer.build.model_card import model_card
from crystal_eyes.recognizer.build.options import BundleOptions
from crystal_eyes.recognizer.build.write import calibration_values, write_bundle
from crystal_eyes.recognizer.calibration import Calibration
from crystal_eyes.recognizer.unlikeness import Unlikeness

SKETCHES = 1000  # made for each of calibration, report and strangers


@dataclass(frozen=True)
class BuiltBundle:
    folder: Path
    characters: int
    figures: dict[str, float]  # measured on heads that were not used for tuning
    score: tuple[str, ...]  # names of the scores that unlikeness adds up
    auroc_by_score: dict[str, float]  # of every blend of scores that was tried
    auroc_by_distance: dict[str, float]  # of every distance from an enrolled character that was tried


def build_bundle(inputs: BundleInputs, options: BundleOptions, folder: Path) -> BuiltBundle:
    """Write a bundle to folder, which is replaced. Raises UserError where the inputs don't belong together."""
    data = open_inputs(inputs)
    roles = data.roles
    known = KnownCharacters(
        data.classifier, data.embeddings[roles["train"]], data.characters[roles["train"]], options.references
    )
    calibration, report = (labeled_heads(data, roles[role], options.seed) for role in ("calibration", "report"))
    strangers = {part: labeled_heads(data, roles[f"strangers_{part}"], options.seed) for part in ("choose", "report")}

    # the unlikeness of strangers is measured with a classifier that was fitted without them
    away = np.unique(np.concatenate([part.characters for part in strangers.values()]))
    fewer, stay = known_without(data, away, options.references)
    others = {
        "choose": calibration[~np.isin(calibration.characters, away)],
        "report": report[~np.isin(report.characters, away)],
    }
    if not len(others["choose"]):  # with few characters, all calibration heads may be strangers'
        others["choose"] = labeled_heads(data, stay, options.seed)
    chosen, auroc = choose_unlikeness(fewer, others["choose"], strangers["choose"])

    test = data.table["classifier_split"].to_numpy(dtype=str)
    enroll, held_out, shown = {}, {}, {}
    for part in ("choose", "report"):
        rows = roles[f"strangers_{part}"]
        held_out[part] = labeled_heads(data, rows[test[rows] == "test"], options.seed)
        shown[part] = labeled_heads(data, rows[test[rows] == "train"], options.seed, 0)
        enroll[part] = enroll_again(fewer, others[part].colored(), held_out[part].colored(), shown[part])
    enrolled_logits = fit_enrolled_logits(fewer, enroll["choose"], others["choose"].colored())
    enrolled_unlikeness, enrolled_auroc = fit_enrolled_unlikeness(fewer, held_out["choose"], shown["choose"])

    unlikeness = Unlikeness.fit(chosen.names, known.evidence(calibration.colored().embeddings))
    calibrations = calibrate(known, unlikeness, calibration, unlikeness_by_kind(fewer, chosen, strangers["choose"]))
    figures = measure_known(known, unlikeness, calibrations, report)
    figures |= measure_strangers(fewer, chosen, others["report"], strangers["report"])
    # the prefix is spelled as in existing stores
    figures |= {f"enrol_{name}": value for name, value in enroll["report"](enrolled_logits).items()}
    trained = Calibration(1.0, np.sort(chosen(fewer.evidence(others["choose"].colored().embeddings))))
    asked = held_out["report"].colored()
    standard = fewer.enrolled_unlikeness()
    standard = enrolled_unlikeness.lenient(standard) if enrolled_unlikeness else standard
    unknown = enrolled_called_unknown(fewer, chosen, trained, standard, asked, shown["report"])
    figures |= {f"enrol_{name}": value for name, value in unknown.items()}

    source = inputs.digests()
    card = model_card(data.table, roles, figures, chosen.names, data.classifier.name, source, options.thumbnails)
    if enrolled_unlikeness:
        enrolled_unlikeness = enrolled_unlikeness.lenient(known.enrolled_unlikeness())
    values = calibration_values(unlikeness, enrolled_logits, calibrations, enrolled_unlikeness)
    write_bundle(folder, inputs, data, known, values, card, source, options.thumbnails)
    return BuiltBundle(folder, len(known.names), figures, chosen.names, auroc, enrolled_auroc)


def labeled_heads(data: BundleData, rows: np.ndarray, seed: int, sketches: int = SKETCHES) -> LabeledHeads:
    """The heads of some rows, and sketches made from up to `sketches` of the colored ones."""
    line = data.table["monochrome"].to_numpy(bool)[rows]
    own = LabeledHeads(data.embeddings[rows], data.characters[rows], line, np.zeros(len(rows), bool))
    colored = np.flatnonzero(~line)
    chosen = np.sort(np.random.default_rng(seed).permutation(colored)[:sketches])
    return own.with_sketches(embed_sketches(data.encoder, data.pictures(rows[chosen], "make sketches")), chosen)


def known_without(data: BundleData, away: np.ndarray, references: int) -> tuple[KnownCharacters, np.ndarray]:
    """The known characters without those in away (str [k]): the same classifier, fitted on the others; and its rows."""
    rows = data.roles["train"][~np.isin(data.characters[data.roles["train"]], away)]
    embeddings, characters = data.embeddings[rows], data.characters[rows]
    print(f"fitting a classifier without the {len(away)} characters that serve as unknown ones in this measurement", flush=True)
    classifier = data.classifier.unfitted()
    classifier.fit(embeddings, np.unique(characters, return_inverse=True)[1])
    return KnownCharacters(classifier, embeddings, characters, references), rows
