"""Builds a bundle."""

from dataclasses import dataclass
from pathlib import Path

from crystal_eyes.detector import runtime as detector_runtime
from crystal_eyes.errors import UserError
from crystal_eyes.recognizer.build.build import BuiltBundle, build_bundle
from crystal_eyes.recognizer.build.inputs import BundleInputs
from crystal_eyes.recognizer.build.options import BundleOptions


@dataclass(frozen=True)
class BundleFolders:
    """The outputs of the steps before: folders, or for detector and onnx the file itself."""

    detector: Path
    onnx: Path
    embeddings: Path
    classifier: Path
    catalogue: Path


def bundle(folders: BundleFolders, catalogue_digest: str, options: BundleOptions, workspace: Path) -> BuiltBundle:
    """catalogue_digest: see BundleInputs. Raises UserError where the inputs don't belong together."""
    inputs = BundleInputs(
        detector=only(folders.detector, detector_runtime.FILE),
        encoder=only(folders.onnx, "*.onnx"),
        embeddings=folders.embeddings,
        classifier=folders.classifier,
        catalogue=folders.catalogue,
        catalogue_digest=catalogue_digest,
    )
    return build_bundle(inputs, options, workspace / "bundle")


def only(path: Path, pattern: str) -> Path:
    """A file itself, or the one file in a folder that matches the pattern."""
    found = [path] if path.is_file() else list(path.rglob(pattern))
    if len(found) != 1:
        raise UserError(f"{path} contains {len(found)} files {pattern}: exactly one is needed")
    return found[0]
