"""Where an input lies: a plain path, `runs:/ID/...`, or `models:/NAME/VERSION`."""

import os
import re
import tempfile
from functools import cache
from pathlib import Path

import mlflow
from mlflow.tracking.artifact_utils import get_artifact_uri

from crystal_eyes.errors import UserError

os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # several bars a step would hide our own


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
        if value.startswith("runs:/"):
            run_id, _, name = value.removeprefix("runs:/").partition("/")
            value = _artifact_uri(run_id, name)
            here = Path(value.removeprefix("file://"))
            if here.is_absolute() and here.exists():  # a store on this machine: no copy
                return here
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=value, dst_path=_downloads().name))
    except Exception as error:  # each store has its own exceptions
        reason = str(error).splitlines()[0]
        raise UserError(f"{value} can't be fetched ({reason}): look up the run in the MLflow UI") from None


_artifact_uri = cache(get_artifact_uri)  # a run's never changes, and each look-up is a round of queries


@cache
def _downloads() -> tempfile.TemporaryDirectory:
    # of this process only, so that what a store holds is looked at anew each time
    return tempfile.TemporaryDirectory(prefix="crystal-eyes-")
