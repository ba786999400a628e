"""Whether the tracking store can take a new run: known before any work is done."""

import os

import mlflow
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from crystal_eyes.artifacts import is_uri
from crystal_eyes.errors import UserError
from crystal_eyes.paths import plain_path
from crystal_eyes.stores import UnreachableError, masked, require_store, unusable

AGAIN = "then run the same command again; finished work is kept"


def require_server() -> None:
    """Raise UserError if the tracking store is a server that is down. In a run that MLflow started, it has just answered."""
    uri = str(mlflow.get_tracking_uri())
    if "MLFLOW_RUN_ID" not in os.environ and is_uri(uri) and not uri.startswith("sqlite"):  # whose file is created if need be
        require_store(uri)


def require_artifact_store(run: Run) -> None:
    """Raise UserError if a run's artifacts belong into a store that can't be used, or into a folder that is gone.

    MLflow records absolute paths: in a store that was moved it would create the old place again, and put them there.
    """
    uri = str(run.info.artifact_uri)
    if is_uri(uri):
        try:
            get_artifact_repository(uri).list_artifacts()
        except Exception as error:  # each store has its own exceptions
            if line := unusable(error):
                raise UnreachableError(f"{line} ({masked(uri)})") from None
            raise
        return
    experiment = plain_path(uri).parent.parent
    place = experiment.parent.parent  # of the default PLACE/mlruns/EXPERIMENT
    if not place.exists():
        known = next(parent for parent in place.parents if parent.exists())
        raise UserError(
            f"new artifacts would be put into {experiment}, of which only {known} exists: MLflow records absolute paths. "
            f"If the store was moved, move it back or link {place} to where it is now; else create that folder"
        )


def lost_store(error: BaseException) -> str | None:
    """The line for an error that says that the tracking or artifact store failed in the middle of a run, else None."""
    uri = str(mlflow.get_tracking_uri())
    if uri.startswith("http"):
        lost = type(error).__module__.startswith(("requests.", "urllib3.")) and isinstance(error, OSError)
        if lost or (isinstance(error, MlflowException) and "API request to" in str(error)):
            return f"the MLflow server stopped answering: start it, {AGAIN}"
    if not uri.startswith("sqlite") and (line := unusable(error)):
        return f"{line}, {AGAIN}"
    return None
