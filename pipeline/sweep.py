"""The entry point sweep: one of W&B's sweep files, run here through Optuna; each trial is a run of train below this one."""

import dataclasses
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
from pathlib import Path
from typing import Any

import mlflow
import optuna
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.exceptions import ExperimentalWarning

from crystal_eyes.encoder.recipes import filled
from crystal_eyes.errors import UserError
from pipeline.cache.workspace import cache_home
from pipeline.experiment import name_experiment
from pipeline.get_or_run import _get_or_run, key_of
from pipeline.main import Finished
from pipeline.parameters.declare import parameter, parse
from pipeline.parameters.steps import STEPS
from pipeline.presentation import ENTRY_POINT
from pipeline.run_names import dataset_name
from pipeline.step import one_line_errors
from pipeline.sweeps import format, report, study
from pipeline.sweeps.trials import POLL, TrialFailed, Trials
from pipeline.tuned import with_values

STUDY = "crystal_eyes.study"  # tag of a sweep's run
TOO_MANY = 10  # failures in a row: then the sweep itself is at fault


def _of_steps() -> list[dataclasses.Field]:
    """The parameters of prepare and train, without those that the sweep fills in."""
    return [f for step in ("prepare", "train") for f in dataclasses.fields(STEPS[step]) if f.name != "catalogue"]


def _fields() -> list[tuple[str, Any, Any]]:
    """The sweep's own, then those of its steps."""
    fields: dict[str, tuple[str, Any, Any]] = {
        "config": ("config", str, parameter("sweeps/drop_rates.yaml", "sweep file, in W&B's format")),
        "trials": ("trials", int, parameter(20, "trials in all, those of an earlier call included", low=1, high=100_000)),
        "jobs": ("jobs", int, parameter(1, "trials side by side on this machine", low=1, high=256)),
        "seeds": ("seeds", int, parameter(3, "seeds to compare best and defaults on; 0: no comparison", low=0, high=100)),
        "storage": ("storage", str, parameter(
            "", "database of the trials, shared by machines: postgresql://USER@HOST/NAME; empty: a file of this user's")),
        "cache": ("cache", str, parameter("on", "reuse finished steps", choices=("on", "off"))),
    }  # fmt: skip
    for f in _of_steps():
        fields.setdefault(f.name, (f.name, f.type, dataclasses.field(default=f.default, metadata=f.metadata)))
    return list(fields.values())


Sweep = dataclasses.make_dataclass("Sweep", _fields(), frozen=True)
Sweep.__doc__ = "Search parameters of train with one of W&B's sweep files; finished trials are kept, so a killed sweep goes on."


def begin(config: Any) -> None:
    """Name and tag the active run, which is the sweep's."""
    mlflow.set_tags(
        {"mlflow.runName": f"sweep, {Path(config.config).stem}, {dataset_name(vars(config))}", ENTRY_POINT: "sweep"}
    )


def sweep(config: Any) -> None:
    file, changed = format.read(config.config), _changed(config)
    config = filled(with_values(config, file.fixed, config.config))
    parent, use_cache = mlflow.active_run(), config.cache == "on"

    def own(step: str) -> dict[str, Any]:
        return {f.name: getattr(config, f.name) for f in dataclasses.fields(STEPS[step]) if hasattr(config, f.name)}

    def run(step: str, parameters: dict[str, Any]) -> Finished:
        return Finished(_get_or_run(step, parameters, use_cache))

    storage = study.open_storage(config.storage or f"sqlite:///{_made(cache_home()) / 'sweeps.db'}")
    catalogue = run("prepare", own("prepare")).output("catalogue")
    shared = {"catalogue": catalogue, **own("train")}
    name = f"{file.name} {_digest(file, shared)}"
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    found = study.open_study(file, storage, name, config.seed)
    mlflow.set_tag(STUDY, name)
    _adopt(parent, name)
    mlflow.log_artifact(config.config)
    wanted = min([config.trials, *([file.run_cap] if file.run_cap else []), *_points(file)])
    print(f"study {name}: {len(study.finished(found))} of {wanted} trials are done", flush=True)
    study.requeue_interrupted_trials(found)
    defaults = {name: getattr(config, name) for name in file.space}
    if file.method != "grid" and study.holds(file.space, defaults):
        found.enqueue_trial(defaults, skip_if_exists=True)
    try:
        _search(found, file, shared, wanted, config.jobs, use_cache, parent)
    finally:
        report.log_trials(found, file)  # those of a sweep that fails are looked at first of all

    best = report.log_study(found, file)
    said = f"best of {len(study.finished(found))} trials: {file.metric} {found.best_value:.4f} with {_said(best)}"
    print(f"\n{said}")
    mlflow.set_tag("mlflow.note.content", said)
    if config.seeds:
        compared = _compare(run, shared, best, config.seeds)
        figures = {"test_gain": compared.gain, "test_gain_standard_error": compared.spread}
        mlflow.log_metrics({name: value for name, value in figures.items() if math.isfinite(value)})
        mlflow.log_text(compared.verdict() + "\n", "compared.txt")
        mlflow.set_tag("mlflow.note.content", f"{said}\n\n{compared.verdict()}")
        print(compared.verdict())
        if not compared.clear:
            return
    given = [f"-P {name}={shlex.quote(str(value))}" for name, value in changed.items() if name not in best]
    command = f"mlflow run . -e main --env-manager local -P params=runs:/{parent.info.run_id}/{report.BEST}"
    print("To use it: ", command, *given)


def _changed(config: Any) -> dict[str, Any]:
    """What prepare and train are given that isn't their default."""
    return {f.name: getattr(config, f.name) for f in _of_steps() if getattr(config, f.name) != f.default}


def _adopt(parent: Run, study_name: str) -> None:
    """Put below this run what earlier runs of the same sweep have begun, so that one run shows all; not what others run now."""
    client, where = MlflowClient(), [parent.info.experiment_id]
    digest = study_name.split()[-1]  # a name may hold quotes
    for earlier in client.search_runs(where, f"tags.`{STUDY}` LIKE '% {digest}'"):
        if earlier.info.run_id != parent.info.run_id and earlier.info.status != "RUNNING":
            for child in client.search_runs(where, f"tags.`mlflow.parentRunId` = '{earlier.info.run_id}'"):
                client.set_tag(child.info.run_id, "mlflow.parentRunId", parent.info.run_id)


def _search(
    found: optuna.Study, file: format.SweepFile, shared: dict[str, Any], wanted: int, jobs: int, use_cache: bool, parent
) -> None:
    """Run trials until so many are finished, here or on other machines. Raises UserError where ten in a row fail."""
    stopped = threading.Event()
    # in a thread, a trial doesn't hear Ctrl-C, SIGTERM or a closed terminal
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    before = {number: handler for number, handler in before.items() if callable(handler)}
    for number, handler in before.items():
        signal.signal(number, lambda *arguments, handler=handler: (stopped.set(), handler(*arguments)))
    share_cores = jobs > 1 and "OMP_NUM_THREADS" not in os.environ
    if share_cores:
        os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // jobs))

    def enough(found: optuna.Study, trial) -> None:
        if len(study.failures_in_a_row(found)) >= TOO_MANY or len(study.finished(found)) >= wanted:
            found.stop()

    trials = Trials(file, shared, parent, use_cache, stopped)
    try:
        while (missing := wanted - len(study.finished(found))) > 0:
            left = missing - study.under_way(found)
            if left <= 0:  # other machines are about to finish the last ones, or will be given up
                time.sleep(POLL)
                continue
            found.optimize(trials, n_trials=left, n_jobs=min(jobs, left), catch=(TrialFailed,), callbacks=[enough])
            if trials.broken:
                raise trials.broken
            reasons = study.failures_in_a_row(found)
            if len(reasons) >= TOO_MANY:
                raise UserError(f"{len(reasons)} trials failed in a row, the last one: {reasons[0]}")
    finally:
        if share_cores:
            del os.environ["OMP_NUM_THREADS"]
        for number, handler in before.items():
            signal.signal(number, handler)


def _compare(run, shared: dict[str, Any], best: dict[str, Any], seeds: int) -> report.Compared:
    """Defaults and best, trained with each seed, measured on the characters kept for testing."""
    found: dict[str, list[float]] = {"defaults": [], "best": []}
    for seed in range(seeds):
        for which, values in (("defaults", {}), ("best", best)):
            encoder = run("train", shared | values | {"seed": shared["seed"] + seed}).output("encoder")
            onnx = run("export", {"encoder": encoder, "catalogue": shared["catalogue"]}).output("onnx")
            embedded = run("embed", {"onnx": onnx, "catalogue": shared["catalogue"]}).run
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


def _made(folder):
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    for kind in (ExperimentalWarning, FutureWarning):  # Optuna's, about parts that we use as they are
        warnings.filterwarnings("ignore", category=kind, module="optuna|pipeline")
    with one_line_errors("sweep"):
        config = parse(Sweep, sys.argv[1:])
        with mlflow.start_run() as run:
            name_experiment(run)
            begin(config)
            sweep(config)
