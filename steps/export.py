"""export: the encoder to ONNX, checked against torch on real pictures."""

import re
from collections.abc import Mapping
from pathlib import Path

import mlflow
import numpy as np

from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.encoder.embeddings import load_heads
from crystal_eyes.encoder.network import load_encoder
from crystal_eyes.encoder.onnx_export import export_onnx, largest_difference
from pipeline.parameters.steps import Export
from pipeline.step import run_step

CHECKED = 32  # pictures


def export(config: Export, inputs: Mapping[str, Path | None], workspace: Path) -> dict[str, Path]:
    encoder = load_encoder(inputs["encoder"])
    source = re.match(r"runs:/([^/]+)", config.encoder)
    folder = workspace / "onnx"
    path = folder / "encoder.onnx"
    export_onnx(encoder, path, {"source_run": source.group(1) if source else ""})

    catalogue = Catalogue(inputs["catalogue"])
    rows = catalogue.table().iloc[np.linspace(0, len(catalogue) - 1, CHECKED).astype(int)]
    difference = largest_difference(encoder, path, load_heads(catalogue, rows, encoder.description.image_size))
    mlflow.log_metrics({"largest_difference": difference, "onnx_bytes": path.stat().st_size})
    print(f"encoder.onnx: {path.stat().st_size / 1e6:.1f} MB, differs from torch by at most {difference:.1e}")
    return {"onnx": folder}


if __name__ == "__main__":
    run_step("export", Export, export)
