"""The MLflow run of a driver: main, release, sweep."""

from collections.abc import Iterator
from contextlib import contextmanager

import mlflow
from mlflow.entities import Run

from pipeline.experiment import name_experiment
from pipeline.store import require_artifact_store, require_server


@contextmanager
def driver_run() -> Iterator[Run]:
    """A run for the whole body, in a named experiment. Raises UserError before any work if the store can't take it."""
    require_server()
    with mlflow.start_run() as run:
        require_artifact_store(run)
        name_experiment(run)
        yield run
