"""`_get_or_run`: the result of a step, reused where nothing that it depends on has changed."""

import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.projects.submitted_run import SubmittedRun

from crystal_eyes.errors import UserError
from pipeline.cache.key import ROOT, CacheKey, cache_key
from pipeline.cache.locks import only_one_of_store
from pipeline.cache.records import find
from pipeline.parameters.declare import as_text, parse
from pipeline.parameters.steps import STEPS
from pipeline.reused import link_reused
from pipeline.run_names import label, step_name
from pipeline.store import lost_store


def key_of(entry_point: str, parameters: dict[str, Any]) -> CacheKey:
    """The cache key of a step with these parameters; values may be text or typed. Raises UserError on a bad one."""
    arguments = [text for name, value in parameters.items() for text in (f"--{name}", as_text(value))]
    return cache_key(entry_point, parse(STEPS[entry_point], arguments).resolved())


def _get_or_run(
    entry_point: str,
    parameters: dict[str, Any],
    use_cache: bool = True,
    parent: Run | None = None,
    watch: Callable[[SubmittedRun], None] | None = None,
    name: str = "",
) -> Run:
    """The newest finished run of a step with an equal key and intact outputs, else a new child run.

    parent: defaults to the active run of the calling thread; a reused run gets a link below it. watch: called while a new run
    is active; once it returns or raises, the run is over (canceled if it was still active). name: of a new run; empty: from its
    parameters. Raises UserError if the step fails.
    """
    client, parent = MlflowClient(), parent or mlflow.active_run()
    experiment = parent.info.experiment_id if parent else "0"
    key = key_of(entry_point, parameters)
    waiting = f"{entry_point}: another process is running the same step: waiting for its result"
    store = str(mlflow.get_tracking_uri())
    with only_one_of_store(f"get-or-run-{key.digest}", waiting, store):
        with only_one_of_store(key.digest, waiting, store):  # a step whose driver was killed still runs to its end
            pass
        if use_cache:
            run, _ = find(client, experiment, key)
            if run is not None:
                print(f"{label(entry_point, parameters)}: reused run {run.info.run_id} from {_age(run)} ago", flush=True)
                if parent is not None:
                    link_reused(run, parent)
                return run
        print(f"{label(entry_point, parameters)}: running", flush=True)
        start = time.monotonic()
        run = _run_child(entry_point, parameters, experiment, parent, watch, name or step_name(entry_point, parameters))
        print(f"{label(entry_point, parameters)}: done in {time.monotonic() - start:.0f} s", flush=True)
        return run


def current_experiment() -> str:
    run = mlflow.active_run()
    return run.info.experiment_id if run else "0"


def _run_child(
    entry_point: str,
    parameters: dict[str, Any],
    experiment: str,
    parent: Run | None,
    watch: Callable[[SubmittedRun], None] | None,
    name: str,
) -> Run:
    # the parent's environment manager has put this Python in place; the child inherits exactly that environment
    here = str(Path(sys.executable).parent)
    if os.environ.get("PATH", "").split(os.pathsep)[0] != here:
        os.environ["PATH"] = here + os.pathsep + os.environ.get("PATH", "")
    logging.getLogger("mlflow.projects").setLevel(logging.WARNING)
    os.environ["MLFLOW_LOGGING_LEVEL"] = "WARNING"  # of the process that a watched run is started by
    try:
        submitted = mlflow.projects.run(
            uri=str(ROOT),
            entry_point=entry_point,
            # an empty value is the default; MLflow would log it as two quotation marks
            parameters={name: text for name, value in parameters.items() if (text := as_text(value))},
            experiment_id=experiment,
            env_manager="local",
            run_name=name,
            synchronous=watch is None,
        )
        if watch is not None:
            assert parent is not None  # only a sweep watches, below its own run
            _watched(submitted, parent, watch)
    except MlflowException as error:
        if lost_store(error):
            raise
        # the step has printed the reason, on a line of its own
        raise UserError(f"{label(entry_point, parameters)} failed: see the line above; finished steps are kept") from None
    return mlflow.get_run(submitted.run_id)


def _watched(submitted: SubmittedRun, parent: Run, watch: Callable[[SubmittedRun], None]) -> None:
    """Watch an active run, and end it together with the watch. Raises MlflowException if the run failed."""
    client = MlflowClient()
    client.set_tag(submitted.run_id, "mlflow.parentRunId", parent.info.run_id)
    try:
        watch(submitted)
    except BaseException:
        submitted.cancel()
        client.set_terminated(submitted.run_id, "KILLED")
        raise
    if not submitted.wait():
        raise MlflowException(f"run {submitted.run_id} failed")


def _age(run: Run) -> str:
    seconds = time.time() - run.info.end_time / 1000
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0, seconds):.0f} seconds"
