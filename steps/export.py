"""export: exports the encoder to ONNX and checks it against torch on real heads."""

from collections.abc import Mapping
from pathlib import Path

import mlflow

from pipeline.parameters.steps import Export
from pipeline.step import run_step
from steps.compute import export as compute


def export(parameters: Export, inputs: Mapping[str, Path], workspace: Path) -> dict[str, Path]:
    exported = compute.export(inputs["encoder"], inputs["catalogue"], workspace)
    mlflow.log_metrics({"largest_difference": exported.largest_difference, "onnx_bytes": exported.bytes})
    print(f"encoder.onnx: {exported.bytes / 1e6:.1f} MB, differs from torch by at most {exported.largest_difference:.1e}")
    return {"onnx": exported.folder}


if __name__ == "__main__":
    run_step("export", Export, export)
