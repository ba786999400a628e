"""The entry point sweep: one of W&B's sweep files, run here through Optuna; each trial is a run of train below this one."""

import hashlib
import json
import math
import os
import shlex
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import mlflow
import optuna
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.exceptions import ExperimentalWarning

from crystal_eyes.errors import UserError
from crystal_eyes.paths import cache_home
from pipeline.cache.locks import only_one_of_store
from pipeline.chain import Runner, StepResult
from pipeline.driver import driver_run
from pipeline.get_or_run import _get_or_run, key_of
from pipeline.parameters.declare import as_text, own_fields, own_values
from pipeline.parameters.entry_points import Sweep
from pipeline.parameters.steps import Prepare, Train
from pipeline.presentation import ENTRY_POINT
from pipeline.run_names import dataset_name
from pipeline.step import one_line_errors
from pipeline.sweeps import format, report, study
from pipeline.sweeps.trials import POLL, TrialFailed, Trials
from pipeline.tuned import with_values

STUDY = "crystal_eyes.study"  # tag of a sweep's run
TOO_MANY = 10  # failures in a row: after which the sweep itself is assumed to be faulty


def begin(sweep: Sweep) -> None:
    """Name and tag the active run, which is the sweep's."""
    name = f"sweep, {Path(sweep.options.config).stem}, {dataset_name(vars(sweep.prepare))}"
    mlflow.set_tags({"mlflow.runName": name, ENTRY_POINT: "sweep"})


def run_sweep(sweep: Sweep, parent: Run) -> None:
    options, file = sweep.options, format.read(sweep.options.config)
    train = with_values(sweep.train, file.fixed, options.config).resolved()
    use_cache = options.cache == "on"

    def run(step: str, parameters: dict[str, Any]) -> StepResult:
        return StepResult(_get_or_run(step, parameters, use_cache))

    storage = study.open_storage(options.storage or f"sqlite:///{_made(cache_home()) / 'sweeps.db'}")
    catalogue = run("prepare", own_values(sweep.prepare)).output("catalogue")
    shared = {**own_values(train), "catalogue": catalogue}
    name = f"{file.name} {_digest(file, shared)}"
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    found = study.open_study(file, storage, name, train.seed)
    mlflow.set_tag(STUDY, name)
    _adopt(parent, name)
    mlflow.log_artifact(options.config)
    wanted = min([options.trials, *([file.run_cap] if file.run_cap else []), *_points(file)])
    print(f"study {name}: {len(study.finished(found))} of {wanted} trials are finished", flush=True)
    study.requeue_interrupted_trials(found)
    defaults = {name: getattr(train, name) for name in file.space}
    if file.method != "grid" and study.holds(file.space, defaults):
        # two machines that begin at once would both find that there is none yet
        with only_one_of_store(f"study {_digest(file, shared)}", "", storage.url):
            found.enqueue_trial(defaults, skip_if_exists=True)
    try:
        _search(found, file, shared, wanted, options.jobs, use_cache, parent)
    finally:
        report.log_trials(found, file)  # they are most useful if the sweep fails

    best = report.log_study(found, file)
    said = f"best of {len(study.finished(found))} trials: {file.metric} {found.best_value:.4f} with {_said(best)}"
    print(f"\n{said}")
    mlflow.set_tag("mlflow.note.content", said)
    if options.seeds:
        compared = _compare(run, shared, best, options.seeds)
        figures = {"test_gain": compared.gain, "test_gain_standard_error": compared.spread}
        mlflow.log_metrics({name: value for name, value in figures.items() if math.isfinite(value)})
        mlflow.log_text(compared.verdict() + "\n", "compared.txt")
        mlflow.set_tag("mlflow.note.content", f"{said}\n\n{compared.verdict()}")
        print(compared.verdict())
        if not compared.clear:
            return
    changed = _changed(sweep.prepare) | _changed(sweep.train)
    given = [f"-P {name}={shlex.quote(as_text(value))}" for name, value in changed.items() if name not in best]
    command = f"mlflow run . -e main --env-manager local -P params=runs:/{parent.info.run_id}/{report.BEST}"
    print("To use it: ", command, *given)


def _changed(parameters: Prepare | Train) -> dict[str, Any]:
    """The values that are not the defaults."""
    own = {field.name: (getattr(parameters, field.name), field.default) for field in own_fields(type(parameters))}
    return {name: value for name, (value, default) in own.items() if value != default}


def _adopt(parent: Run, study_name: str) -> None:
    """Put below this run what earlier runs of the same sweep have begun, so that one run shows all; not what others run now."""
    client, where = MlflowClient(), [parent.info.experiment_id]
    digest = study_name.split()[-1]  # a name may hold quotes
    for earlier in client.search_runs(where, f"tags.`{STUDY}` LIKE '% {digest}'"):
        if earlier.info.run_id != parent.info.run_id and earlier.info.status != "RUNNING":
            for child in client.search_runs(where, f"tags.`mlflow.parentRunId` = '{earlier.info.run_id}'"):
                client.set_tag(child.info.run_id, "mlflow.parentRunId", parent.info.run_id)


def _search(
    found: optuna.Study, file: format.SweepFile, shared: dict[str, Any], wanted: int, jobs: int, use_cache: bool, parent: Run
) -> None:
    """Run trials until `wanted` are finished, here or on other machines. Raises UserError where ten in a row fail."""
    stopped = threading.Event()
    # in a thread, a trial doesn't hear Ctrl-C, SIGTERM or a closed terminal
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    before = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number, handler in before.items():
        signal.signal(number, partial(_stop, stopped, handler))
    share_cores = jobs > 1 and "OMP_NUM_THREADS" not in os.environ
    if share_cores:
        os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // jobs))

    def enough(found: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        if len(study.failures_in_a_row(found)) >= TOO_MANY or len(study.finished(found)) >= wanted:
            found.stop()

    trials = Trials(file, shared, parent, use_cache, stopped)
    try:
        while (missing := wanted - len(study.finished(found))) > 0:
            left = missing - study.under_way(found)
            if left <= 0:  # other machines will finish the last trials, or these will be marked as failed
                time.sleep(POLL)
                continue
            found.optimize(trials, n_trials=left, n_jobs=min(jobs, left), catch=(TrialFailed,), callbacks=[enough])
            if trials.broken:
                raise trials.broken
            reasons = study.failures_in_a_row(found)
            if len(reasons) >= TOO_MANY:
                raise UserError(f"{len(reasons)} trials failed in a row; the last one: {reasons[0]}")
    finally:
        if share_cores:
            del os.environ["OMP_NUM_THREADS"]
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(stopped: threading.Event, handler: Callable[..., Any], *arguments: Any) -> None:
    stopped.set()
    handler(*arguments)


def _compare(run: Runner, shared: dict[str, Any], best: dict[str, Any], seeds: int) -> report.Compared:
    """Defaults and best, trained with each seed, measured on the characters kept for testing."""
    found: dict[str, list[float]] = {"defaults": [], "best": []}
    for seed in range(seeds):
        for which, values in (("defaults", {}), ("best", best)):
            encoder = run("train", shared | values | {"seed": shared["seed"] + seed}).output("encoder")
            onnx = run("export", {"encoder": encoder, "catalogue": shared["catalogue"]}).output("onnx")
            embedded = run("embed", {"onnx": onnx, "catalogue": shared["catalogue"]}).finished
            found[which].append(embedded.data.metrics.get("map_at_r_unseen", float("nan")))
    return report.Compared(**found)


def _digest(file: format.SweepFile, shared: dict[str, Any]) -> str:
    """Of all that makes two trials comparable: the search, what all trials share, pictures, code, libraries."""
    key = key_of("train", shared)
    same = {name: value for name, value in key.parameters.items() if name not in file.space and name != "wandb"}
    space = {name: repr(one) for name, one in file.space.items()}
    said = [file.method, file.metric, file.maximize, file.first_epochs, file.one_in, space, same, key.inputs, key.sources]
    return hashlib.sha256(json.dumps([*said, key.libraries], sort_keys=True).encode()).hexdigest()[:12]


def _points(file: format.SweepFile) -> list[int]:
    """How many points a grid has."""
    if file.method != "grid":
        return []
    count = 1
    for one in file.space.values():
        count *= len(study.grid(one))
    return [count]


def _said(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    for kind in (ExperimentalWarning, FutureWarning):  # Optuna's, about parts that we use as they are
        warnings.filterwarnings("ignore", category=kind, module="optuna|pipeline")
    with one_line_errors("sweep"):
        sweep = Sweep.parse(sys.argv[1:])
        with driver_run() as run:
            begin(sweep)
            run_sweep(sweep, run)
