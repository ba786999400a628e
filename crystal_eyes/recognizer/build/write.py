"""Writes the bundle's folder."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from crystal_eyes.recognizer import bundle as files
from crystal_eyes.recognizer import gallery
from crystal_eyes.recognizer.build.inputs import BundleData, BundleInputs
from crystal_eyes.recognizer.build.known import KnownCharacters
from crystal_eyes.recognizer.calibration import Calibration
from crystal_eyes.recognizer.enrolled_unlikeness import EnrolledUnlikeness
from crystal_eyes.recognizer.naming import EnrolledLogits
from crystal_eyes.recognizer.unlikeness import Unlikeness


def write_bundle(
    folder: Path,
    inputs: BundleInputs,
    data: BundleData,
    known: KnownCharacters,
    calibration: dict[str, Any],
    card: str,
    source: Mapping[str, str],
) -> None:
    """Write a bundle (recognizer/bundle.py says what it holds). Equal arguments give equal bytes.

    calibration: as calibration_values returns it; source: digests of the inputs.
    """
    shutil.rmtree(folder, ignore_errors=True)  # partial bundle from an interrupted run
    folder.mkdir(parents=True)
    shutil.copy(inputs.detector, folder / files.DETECTOR)
    shutil.copy(inputs.encoder, folder / files.ENCODER)
    known.classifier.export_onnx(folder / files.CLASSIFIER)
    series = data.table.groupby("character")["series"].first()
    _write_json(folder / files.CHARACTERS, [[name, series[name]] for name in known.names])
    np.save(folder / files.MEANS, known.means, allow_pickle=False)
    shown = data.roles["train"][known.references]
    gallery.write(folder, known.gallery, data.characters[shown].tolist(), list(data.pictures(shown, "make thumbnails")))
    _write_json(folder / files.CALIBRATION, calibration)
    (folder / files.CARD).write_text(card, "utf-8")
    files.write_listing(folder, dict(source), [path.name for path in folder.iterdir()])


def calibration_values(
    unlikeness: Unlikeness,
    enrolled_logits: EnrolledLogits,
    calibrations: Mapping[str, Calibration],
    enrolled: EnrolledUnlikeness | None = None,
) -> dict[str, Any]:
    """The contents of calibration.json."""
    values = {"unlikeness": unlikeness.as_dict(), "enrolled_logits": vars(enrolled_logits)}
    if enrolled:
        values["enrolled_unlikeness"] = enrolled.as_dict()
    return values | {kind: calibration.as_dict() for kind, calibration in calibrations.items()}


def _write_json(path: Path, values: Any) -> None:
    path.write_text(json.dumps(values, ensure_ascii=False, indent=1), "utf-8")
