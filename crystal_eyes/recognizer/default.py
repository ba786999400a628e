"""Which bundle is used where none is given."""

import os
from dataclasses import dataclass
from pathlib import Path

from crystal_eyes.artifacts import has_model
from crystal_eyes.errors import UserError
from crystal_eyes.recognizer.bundle import Bundle
from crystal_eyes.recognizer.enrolled_files import count_enrolled
from crystal_eyes.recognizer.places import RELEASED, released_folder

CHAMPION = "models:/crystal-eyes@champion"
VARIABLE = "CRYSTAL_EYES_BUNDLE"


class NoBundleError(UserError):
    """No bundle was given, and there is none to use instead."""


@dataclass(frozen=True)
class Chosen:
    source: str  # as Recognizer.load takes it
    how: str  # why this one

    def describe(self, bundle: Bundle) -> str:
        """One line that says which bundle is used. bundle: the one that was loaded from the source."""
        if self.source != RELEASED:
            return f"using {self.source} ({self.how})"
        count = count_enrolled(bundle)
        own = f" and {count:,} enrolled {'character' if count == 1 else 'characters'} in {bundle.folder}" if count else ""
        return f"using the released recognizer{own} ({self.how})"


def choose_bundle(given: str | None = None) -> Chosen:
    """The bundle that was given, else that of the environment variable, else the champion of the MLflow store in this folder,
    else the released one. Raises NoBundleError: there is none; UnreachableError: the store does not answer.
    """
    if given is not None:
        return Chosen(given, "as given")
    if set_ := os.environ.get(VARIABLE):
        return Chosen(set_, f"set in ${VARIABLE}")
    if (os.environ.get("MLFLOW_TRACKING_URI") or Path("mlflow.db").exists()) and has_model(CHAMPION):
        return Chosen(CHAMPION, "the champion of the MLflow store")
    if released_folder() is None:
        raise NoBundleError(f"this installation has no released recognizer: give a bundle, or set {VARIABLE} to one")
    return Chosen(RELEASED, "the default")
