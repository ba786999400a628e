"""Audits a labeled dataset with a bundle's detector and encoder."""

from pathlib import Path

from crystal_eyes.audit.report import Report, write_audit
from crystal_eyes.recognizer.bundle import DETECTOR, ENCODER, read_bundle


def audit(dataset: Path, bundle: Path, confidence: float, workspace: Path) -> Report:
    """Write workspace/audit; an interrupted run continues from workspace. confidence: least one of a box, where it is stated.

    Raises UserError where the dataset can't be used or the bundle is none.
    """
    trained = read_bundle(bundle).trained
    # without whole paths: equal datasets give equal results, wherever they are
    return write_audit(
        dataset, trained / DETECTOR, trained / ENCODER, workspace / "audit", confidence, relative=True, seen=workspace
    )
