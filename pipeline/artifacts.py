"""Where an input lies: a plain path, `runs:/ID/...`, or `models:/NAME/VERSION`."""

import re
from pathlib import Path

import mlflow

from crystal_eyes.errors import UserError


def is_uri(value: str) -> bool:
    return re.match(r"[a-z][a-z0-9+.-]+:/", value) is not None


def local_path(value: str) -> Path:
    """The input on this machine (downloaded where the artifact store is remote). Raises UserError where it isn't there."""
    if not is_uri(value):
        path = Path(value).expanduser()
        if not path.exists():
            raise UserError(f"{value} does not exist: give a path, runs:/ID/NAME or models:/NAME/VERSION")
        return path
    try:
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=value))
    except Exception as error:  # each store has its own exceptions
        reason = str(error).splitlines()[0]
        raise UserError(f"{value} can't be fetched ({reason}): look up the run in the MLflow UI") from None
