"""Locates inputs: a plain path, `runs:/ID/...`, `models:/NAME/VERSION` or `models:/NAME@ALIAS`.

The only file of the library that uses mlflow, and only for a URI. It is imported by name: an import statement would make its
version part of the cache key of every step that uses the recognizer.
"""

import importlib
import os
import re
import tempfile
from functools import cache
from pathlib import Path

from crystal_eyes.errors import UserError


def is_uri(value: str) -> bool:
    return re.match(r"[a-z][a-z0-9+.-]+:/", value) is not None


def local_path(value: str) -> Path:
    """The local path of the input, downloaded if it is in a remote store. Raises UserError if there is no such input."""
    if not is_uri(value):
        path = Path(value).expanduser()
        if not path.exists():
            raise UserError(f"{value} does not exist: give an existing path, runs:/ID/NAME or models:/NAME/VERSION")
        return path
    try:
        artifacts = importlib.import_module("mlflow.artifacts")
    except ImportError:
        raise UserError(f"{value} needs MLflow, which is not installed: pip install mlflow, or give a folder") from None
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # several bars per step would hide the step's own
    try:
        if value.startswith(("runs:/", "models:/")):
            local = Path(_artifact_uri(value).removeprefix("file://"))
            if local.is_absolute() and local.exists():  # a store on this machine: no copy
                return local
        return Path(artifacts.download_artifacts(artifact_uri=value, dst_path=_downloads().name))
    except Exception as error:  # each store has its own exceptions
        reason = str(error).splitlines()[0]
        raise UserError(f"{value} can't be fetched ({reason}): check in the MLflow UI that it exists") from None


def _artifact_uri(value: str) -> str:
    if value.startswith("models:/"):
        models = importlib.import_module("mlflow.store.artifact.models_artifact_repo")
        return models.ModelsArtifactRepository.get_underlying_uri(value)  # not cached: an alias moves
    run_id, _, name = value.removeprefix("runs:/").partition("/")
    return _run_uri(run_id, name)


@cache
def _run_uri(run_id: str, name: str) -> str:
    # of a run it never changes, and each lookup takes several queries
    return importlib.import_module("mlflow.tracking.artifact_utils").get_artifact_uri(run_id, name)


@cache
def _downloads() -> tempfile.TemporaryDirectory:
    # per process, so that each one sees what the store holds now
    return tempfile.TemporaryDirectory(prefix="crystal-eyes-")
