"""Runs one step as an MLflow run: parameters in, outputs with digests out, one clear line where it fails."""

import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import mlflow

from crystal_eyes.artifacts import local_path
from crystal_eyes.errors import one_line
from pipeline.cache.digests import digest_path
from pipeline.cache.key import cache_key
from pipeline.cache.records import record
from pipeline.cache.workspace import workspace
from pipeline.datasets import log_prepared
from pipeline.parameters.declare import inputs, names_files, parse, values
from pipeline.presentation import LONG, show_step

FAILURE = "crystal_eyes.failure"  # tag of a run: why it failed
Config = TypeVar("Config")
# (configuration, input paths by field, workspace) -> outputs by artifact name
Body = Callable[[Config, Mapping[str, Path | None], Path], Mapping[str, Path]]


def run_step(
    entry_point: str, config_class: type[Config], body: Body, filled: Callable[[Config], Config] = lambda config: config
) -> None:
    """Parse the command line, run the body inside an MLflow run, log its outputs and record them for the cache.

    filled: gives the values that stand for what was left empty; by these the step is known, as main asks for it.
    Exits with 1 after one line on stderr where a user can mend it, with 130 where it was interrupted.
    """
    with one_line_errors(entry_point):
        config = parse(config_class, sys.argv[1:])
        with mlflow.start_run(log_system_metrics=entry_point in LONG) as run:
            config = _told(filled, config)
            key = cache_key(entry_point, config)
            known = run.data.params
            mlflow.log_params({n: v for n, v in (values(config) | inputs(config)).items() if n not in known})
            show_step(run, entry_point, config, inputs(config), key.inputs)
            with workspace(key.digest) as folder:
                paths = {n: local_path(v) if names_files(config, n) else None for n, v in inputs(config).items()}
                outputs = _told(body, config, paths, folder)
                digests = {}
                for name, path in outputs.items():
                    mlflow.log_artifacts(path, name)
                    digests[name] = digest_path(path)
                if entry_point == "prepare":
                    log_prepared(values(config) | inputs(config), digests["catalogue"])
                if cache_key(entry_point, config).inputs == key.inputs:
                    record(mlflow.MlflowClient(), run.info.run_id, key, digests)
                else:
                    print(f"{entry_point}: an input changed while it was read, so this result will not be reused")


def _told(work: Callable[..., Any], *arguments) -> Any:
    """What the work gives. Why it gives nothing is also written on the run, where a sweep and the UI find it."""
    try:
        return work(*arguments)
    except Exception as error:
        said = one_line(error) or f"{type(error).__name__}: {error}".splitlines()[0]
        with suppress(Exception):  # where the disk is full, that is what to say
            mlflow.set_tag(FAILURE, said[:500])
        raise


class one_line_errors:
    """Context: an expected error becomes one line on stderr and exit code 1.

    SIGTERM and a closed terminal interrupt like Ctrl-C.
    """

    def __init__(self, name: str):
        self.name = name

    def __enter__(self) -> None:
        signal.signal(signal.SIGTERM, _interrupt)
        if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:  # not below nohup
            signal.signal(signal.SIGHUP, _interrupt)
        sys.stdout.reconfigure(line_buffering=True)  # or a log would show a step's lines only at its end

    def __exit__(self, kind, error: BaseException | None, trace) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if error is None or isinstance(error, SystemExit):
            return
        if isinstance(error, KeyboardInterrupt):
            self._exit(130, "interrupted: run the same command again, finished work is kept")
        line = one_line(error)
        if line is None:
            traceback.print_exception(error)
            line = f"{kind.__name__}: {error} (this is a fault of ours, please report it with the lines above)"
        self._exit(1, line)

    def _exit(self, code: int, line: str) -> NoReturn:
        print(f"{self.name}: {line}", file=sys.stderr, flush=True)
        raise SystemExit(code) from None


def _interrupt(signum, frame) -> NoReturn:
    # Python drops an exception that is raised while it tidies up (a weak reference's callback, a __del__): raise it again then
    signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, 10)
    raise KeyboardInterrupt
