"""`_get_or_run`: the result of a step, reused where nothing that it depends on has changed."""

import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from crystal_eyes.config import STEPS
from crystal_eyes.errors import UserError
from crystal_eyes.parameters import parse
from pipeline.cache_key import ROOT, CacheKey, cache_key
from pipeline.records import find
from pipeline.workspace import only_one


def key_of(entry_point: str, parameters: dict[str, Any]) -> CacheKey:
    """The cache key of a step with these parameters; values may be text or typed. Raises UserError on a bad one."""
    arguments = [text for name, value in parameters.items() for text in (f"--{name}", str(value))]
    return cache_key(entry_point, parse(STEPS[entry_point], arguments))


def _get_or_run(entry_point: str, parameters: dict[str, Any], use_cache: bool = True) -> Run:
    """The newest finished run of a step with an equal key and intact outputs, else a new run of it, as a child run.

    Raises UserError where the step fails.
    """
    client, experiment = MlflowClient(), current_experiment()
    key = key_of(entry_point, parameters)
    waiting = f"{entry_point}: another main runs the same step, waiting for its result"
    with only_one(f"get-or-run-{key.digest}", waiting):
        if use_cache:
            run, _ = find(client, experiment, key)
            if run is not None:
                print(f"{label(entry_point, parameters)}: reused run {run.info.run_id} of {_age(run)} ago", flush=True)
                return run
        print(f"{label(entry_point, parameters)}: runs", flush=True)
        start = time.monotonic()
        run = _run_child(entry_point, parameters)
        print(f"{label(entry_point, parameters)}: done in {time.monotonic() - start:.0f} s", flush=True)
        return run


def label(entry_point: str, parameters: dict[str, Any]) -> str:
    return f"{entry_point} {parameters['classifier']}" if "classifier" in parameters else entry_point


def current_experiment() -> str:
    run = mlflow.active_run()
    return run.info.experiment_id if run else "0"


def _run_child(entry_point: str, parameters: dict[str, Any]) -> Run:
    # the parent's environment manager has put this Python in place; the child inherits exactly that environment
    here = str(Path(sys.executable).parent)
    if os.environ.get("PATH", "").split(os.pathsep)[0] != here:
        os.environ["PATH"] = here + os.pathsep + os.environ.get("PATH", "")
    logging.getLogger("mlflow.projects").setLevel(logging.WARNING)
    try:
        submitted = mlflow.projects.run(
            uri=str(ROOT),
            entry_point=entry_point,
            parameters={name: str(value) for name, value in parameters.items()},
            experiment_id=current_experiment(),
            env_manager="local",
            run_name=label(entry_point, parameters),
        )
    except MlflowException:  # the step has said why, in its own line
        raise UserError(f"{label(entry_point, parameters)} failed: see the line above; finished steps are kept") from None
    return mlflow.get_run(submitted.run_id)


def _age(run: Run) -> str:
    seconds = time.time() - run.info.end_time / 1000
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0, seconds):.0f} seconds"
