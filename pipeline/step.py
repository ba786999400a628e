"""Runs one step as an MLflow run: parameters in, outputs with digests out, a one-line message on failure."""

import dataclasses
import io
import logging
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn, ParamSpec, TypeVar

import mlflow

from crystal_eyes.errors import UserError, one_line
from crystal_eyes.stores import masked
from pipeline.cache.digests import digest_path
from pipeline.cache.key import cache_key
from pipeline.cache.locks import database_lock
from pipeline.cache.records import record
from pipeline.cache.workspace import workspace
from pipeline.datasets import log_prepared
from pipeline.parameters.declare import as_text, input_path, inputs, names_files, parse, values
from pipeline.parameters.steps import StepParameters
from pipeline.presentation import LONG, show_step
from pipeline.store import lost_store, require_artifact_store, require_server

FAILURE = "crystal_eyes.failure"  # tag of a run: why it failed
Parameters = TypeVar("Parameters", bound=StepParameters)
Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")
# (parameters, paths of the inputs that name files, workspace) -> outputs by artifact name
Body = Callable[[Parameters, Mapping[str, Path], Path], Mapping[str, Path]]


def run_step(entry_point: str, parameters_class: type[Parameters], body: Body[Parameters]) -> None:
    """Parse the command line, run the body inside an MLflow run, log its outputs and record them for the cache.

    Exits with 1 after one line on stderr where the user can fix the problem, with 130 where it was interrupted.
    """
    with one_line_errors(entry_point):
        parameters = parse(parameters_class, sys.argv[1:])
        require_server()
        # locks outlast the run's end: a process that waits for one of them then finds a finished run
        with ExitStack() as locks, mlflow.start_run(log_system_metrics=entry_point in LONG) as run:
            _noting_failure(require_artifact_store, run)
            parameters = _noting_failure(parameters.resolved)
            key = cache_key(entry_point, parameters)
            known = run.data.params
            given = {name: as_text(value) for name, value in (values(parameters) | inputs(parameters)).items()}
            mlflow.log_params({name: value for name, value in given.items() if name not in known})
            show_step(run, entry_point, parameters, inputs(parameters), key.inputs)
            waiting = f"{entry_point}: the same step with the same inputs is already running elsewhere: waiting for it"
            locks.enter_context(database_lock(key.digest, waiting, str(mlflow.get_tracking_uri())))
            with workspace(key.digest) as folder:
                paths = {n: input_path(parameters, n) for n in inputs(parameters) if names_files(parameters, n)}
                outputs = _noting_failure(_with_remedy, body, parameters, paths, folder)
                digests = {}
                for name, path in outputs.items():
                    mlflow.log_artifacts(str(path), name)
                    digests[name] = digest_path(path)
                if entry_point == "prepare":
                    log_prepared(given, digests["catalogue"])
                if cache_key(entry_point, parameters).inputs == key.inputs:
                    record(mlflow.MlflowClient(), run.info.run_id, key, digests)
                else:
                    print(f"{entry_point}: an input changed while the step was running, so this result will not be reused")


def _with_remedy(body: Body[Parameters], parameters: Parameters, paths: Mapping[str, Path], folder: Path) -> Mapping[str, Path]:
    """Call the body. The library's errors name a file; for an input's file, say which parameter it is and what it takes."""
    try:
        return body(parameters, paths, folder)
    except UserError as error:
        for field in dataclasses.fields(parameters):
            if field.name in paths and str(paths[field.name]) in str(error):
                raise UserError(f"{error}. Parameter {field.name} takes: {field.metadata['help']}") from None
        raise


def _noting_failure(work: Callable[Arguments, Answer], *arguments: Arguments.args, **named: Arguments.kwargs) -> Answer:
    """Call work; if it fails, write the reason on the run, where a sweep and the UI find it."""
    try:
        return work(*arguments, **named)
    except Exception as error:
        reason = masked(one_line(error) or lost_store(error) or f"{type(error).__name__}: {error}".splitlines()[0])
        with suppress(Exception):  # on a full disk the tag cannot be written either: the first error counts
            mlflow.set_tag(FAILURE, reason[:500])
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
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # it logs, with tracebacks, what it also raises
        logging.getLogger("mlflow.system_metrics").setLevel(logging.WARNING)  # each start and end of it
        if isinstance(sys.stdout, io.TextIOWrapper):  # else a log would show a step's lines only at its end
            sys.stdout.reconfigure(line_buffering=True)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if error is None or isinstance(error, SystemExit):
            return
        if isinstance(error, KeyboardInterrupt):
            self._exit(130, "interrupted; finished work is kept: run the same command again to resume")
        line = one_line(error) or lost_store(error)
        if line is None:
            print(masked("".join(traceback.format_exception(error))), end="", file=sys.stderr)
            line = f"{type(error).__name__}: {error} (this is a bug in Crystal Eyes: please report it with the lines above)"
        self._exit(1, line)

    def _exit(self, code: int, line: str) -> NoReturn:
        print(masked(f"{self.name}: {line}"), file=sys.stderr, flush=True)
        raise SystemExit(code) from None


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    # Python drops an exception that is raised inside a finalizer (a weak reference's callback, a __del__): raise it again
    signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, 10)
    raise KeyboardInterrupt
