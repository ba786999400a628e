"""Exports an encoder to ONNX and checks it against torch on real heads."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder.embeddings import load_heads
from crystal_eyes.encoder.network import load_encoder
from crystal_eyes.encoder.onnx_export import export_onnx, largest_difference

CHECKED = 32  # heads


@dataclass(frozen=True)
class ExportedEncoder:
    folder: Path
    bytes: int
    largest_difference: float  # of one coordinate of an embedding, between torch and onnxruntime


def export(encoder: Path, catalogue: Path, workspace: Path) -> ExportedEncoder:
    """Write workspace/onnx/encoder.onnx. Raises UserError where its embeddings differ from torch's."""
    loaded, heads = load_encoder(encoder), Catalogue(catalogue)
    folder = workspace / "onnx"
    path = folder / "encoder.onnx"
    export_onnx(loaded, path)
    rows = heads.table().iloc[np.linspace(0, len(heads) - 1, CHECKED).astype(int)]
    difference = largest_difference(loaded, path, load_heads(heads, rows, loaded.description.image_size))
    return ExportedEncoder(folder, path.stat().st_size, difference)
