"""Writes the bundle's folder."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from crystal_eyes.data.catalogue import original_names
from crystal_eyes.encoder.embeddings import load_heads
from crystal_eyes.encoder.runtime import OnnxEncoder
from crystal_eyes.onnx_storage import store_file_half
from crystal_eyes.recognizer import bundle as files
from crystal_eyes.recognizer import gallery
from crystal_eyes.recognizer.build.inputs import BundleData, BundleInputs
from crystal_eyes.recognizer.build.known import KnownCharacters
from crystal_eyes.recognizer.calibration import Calibration
from crystal_eyes.recognizer.enrolled_logits import EnrolledLogits
from crystal_eyes.recognizer.enrolled_unlikeness import EnrolledUnlikeness
from crystal_eyes.recognizer.unlikeness import Unlikeness

TOLERANCE = 1e-3  # largest difference of one coordinate of an embedding, for 16-bit weights to be used
COMPARED = 32  # heads


def write_bundle(
    folder: Path,
    inputs: BundleInputs,
    data: BundleData,
    known: KnownCharacters,
    fitted: np.ndarray,
    calibration: dict[str, Any],
    card: str,
    source: Mapping[str, str],
    thumbnails: bool = True,
) -> None:
    """Write a bundle (recognizer/bundle.py says what it holds). Equal arguments give equal bytes.

    fitted: int rows of the heads that known was fitted on; calibration: as calibration_values returns it; source: digests of
    the inputs; thumbnails: whether the gallery shows the reference heads.
    """
    shutil.rmtree(folder, ignore_errors=True)  # partial bundle from an interrupted run
    folder.mkdir(parents=True)
    shutil.copy(inputs.detector, folder / files.DETECTOR)
    _write_encoder(inputs.encoder, data, folder / files.ENCODER)
    known.classifier.export_onnx(folder / files.CLASSIFIER)
    train = data.table.iloc[fitted]
    series, heads = train.groupby("character")["series"].first(), train["character"].value_counts()
    originals = original_names(data.table)
    rows = [[name, series[name], originals.get(name, ""), int(heads[name])] for name in known.names.tolist()]
    files.write_characters(folder, rows)
    np.save(folder / files.MEANS, known.means, allow_pickle=False)
    np.save(folder / files.EXPECTED, known.expected.stored(), allow_pickle=False)
    if known.expected.one_length:
        calibration = calibration | {files.ONE_LENGTH: True}
    if known.line_noise is not None:
        np.save(folder / files.LINE_NOISE, known.line_noise.stored(), allow_pickle=False)
        calibration = calibration | {"line_bias_changes": [round(float(one), 4) for one in known.line_bias_changes]}
    shown = fitted[known.references]
    small = [gallery.thumbnail(one) for one in data.pictures(shown, "make thumbnails")] if thumbnails else [b""] * len(shown)
    gallery.write_thumbnails(folder, known.gallery, data.characters[shown].tolist(), small)
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
    values = {
        "unlikeness": unlikeness.as_dict(),
        "enrolled_logits": enrolled_logits.by_cosine._asdict(),
        "enrolled_points": enrolled_logits.by_point._asdict(),
    }
    if enrolled:
        values["enrolled_unlikeness"] = enrolled.as_dict()
    return values | {kind: calibration.as_dict() for kind, calibration in calibrations.items()}


def _write_encoder(source: Path, data: BundleData, path: Path) -> None:
    """Store the encoder's weights in 16 bits, or in 32 if that would change embeddings by more than TOLERANCE."""
    store_file_half(source, path)
    rows = data.table.iloc[np.linspace(0, len(data.table) - 1, min(COMPARED, len(data.table))).astype(int)]
    heads = load_heads(data.catalogue, rows, data.encoder.image_size)
    difference = float(np.abs(OnnxEncoder(path)(heads) - data.encoder(heads)).max())
    if not difference <= TOLERANCE:
        shutil.copy(source, path)
        print(f"the encoder keeps 32-bit weights: with 16 bits its embeddings would differ by {difference:.1e}", flush=True)


def _write_json(path: Path, values: Any) -> None:
    path.write_text(json.dumps(values, ensure_ascii=False, indent=1), "utf-8")
