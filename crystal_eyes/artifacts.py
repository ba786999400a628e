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

from crystal_eyes.errors import UserError, said
from crystal_eyes.paths import plain_path
from crystal_eyes.stores import UnreachableError, require_store, unusable


def is_uri(value: str) -> bool:
    """Whether MLflow has to say where this is. A `file:` URI is a path written differently."""
    return re.match(r"(?!file:)[a-z][a-z0-9+.-]+:/", value, re.IGNORECASE) is not None


def local_path(value: str) -> Path:
    """The local path of the input, downloaded if it is in a remote store. Raises UserError if there is no such input."""
    if not is_uri(value):
        path = plain_path(value)
        if not path.exists():
            raise UserError(f"{value} does not exist: give an existing path, runs:/ID/NAME or models:/NAME/VERSION")
        return path
    scheme, rest = value.split(":", 1)
    value = f"{scheme.lower()}:{rest}"
    try:
        importlib.import_module("mlflow")
    except ImportError:
        raise UserError(f"{value} needs MLflow, which is not installed: pip install mlflow, or give a folder") from None
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # several bars per step would hide the step's own
    try:
        if value.startswith(("runs:/", "models:/")):
            _require_stores()
            if local := _in_local_store(value):  # a store on this machine: no copy
                return local
        return _fetched(value) if value.startswith("runs:/") else _fetch(value)
    except UserError:
        raise
    except Exception as error:  # each store has its own exceptions
        if found := unusable(error):
            raise UnreachableError(f"{value} can't be fetched: {found}") from None
        reason = said(error)
        raise UserError(f"{value} can't be fetched ({reason}): check in the MLflow UI that it exists") from None


def _fetch(value: str) -> Path:
    # a folder each: outputs of different runs have the same name
    folder = tempfile.mkdtemp(dir=_downloads().name)
    fetched = Path(importlib.import_module("mlflow.artifacts").download_artifacts(artifact_uri=value, dst_path=folder))
    if fetched.is_dir() and not any(fetched.iterdir()):  # what some stores answer for a path that they lack
        raise UserError(f"{value} is empty or missing in the store: check in the MLflow UI that it exists")
    return fetched


_fetched = cache(_fetch)  # of a run: its outputs don't change, unlike the version behind an alias of models:/


def has_model(uri: str) -> bool:
    """Whether the MLflow store of this process has a registered model; False where MLflow is not installed.

    Also True where the store does not say: then fetching the model tells what is wrong. Raises UnreachableError.
    """
    try:
        exceptions = importlib.import_module("mlflow.exceptions")
    except ImportError:
        return False
    _require_stores()
    try:
        _artifact_uri(uri)
    except exceptions.MlflowException as error:
        return error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
    return True


def _require_stores() -> None:
    mlflow = importlib.import_module("mlflow")
    for uri in dict.fromkeys((str(mlflow.get_tracking_uri()), str(mlflow.get_registry_uri()))):
        require_store(uri)


def _in_local_store(value: str) -> Path | None:
    """The path of an artifact in a store on this machine, None if the store is elsewhere. Raises UserError: it is not there."""
    uri = _artifact_uri(value)
    if is_uri(uri):
        return None
    local = plain_path(uri)
    if not local.is_absolute() or local.exists():
        return local if local.exists() else None
    root = next(parent for parent in local.parents if parent.exists())
    if local.parent == root:
        raise UserError(
            f"{value} has no artifact {local.name} (there is no {local}): it was deleted, or its run did not finish"
        )
    raise UserError(
        f"{value} is stored in {local}, of which only {root} exists: the store was moved, its files were deleted, or they are "
        "on another machine. MLflow records absolute paths: move the files back or link them there, or give the folder itself"
    )


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
