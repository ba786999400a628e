"""Fake steps that take no time, instead of MLflow's child processes.

Everything else is real: the cache and its keys, the store, a run per step, its status and tags. Tests use it where neither a
process nor a result is the point.
"""

import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

import pipeline.get_or_run
from crystal_eyes.paths import cache_home
from pipeline.cache.records import record
from pipeline.step import FAILURE

OUTPUTS = {"prepare": "catalogue", "train": "encoder", "distill": "encoder", "export": "onnx", "embed": "embeddings",
           "classify": "classifier", "bundle": "bundle", "evaluate": "answers"}  # fmt: skip
Parameters = dict[str, str]


class StepFailed(Exception):
    """A step fails with this reason."""


@dataclass
class Submitted:
    """What MLflow gives for a run that it started."""

    run_id: str
    work: Callable[[threading.Event], None]
    status: str = "RUNNING"
    canceled: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.work(self.canceled)
            self.status = "FAILED" if self.canceled.is_set() else "FINISHED"
        except StepFailed as error:
            MlflowClient().set_tag(self.run_id, FAILURE, str(error))
            self.status = "FAILED"
        MlflowClient().set_terminated(self.run_id, self.status)

    def get_status(self) -> str:
        return self.status

    def wait(self) -> bool:
        self.thread.join()
        return self.status == "FINISHED"

    def cancel(self) -> None:
        self.canceled.set()
        self.thread.join()


@dataclass
class InProcess:
    """Replaces mlflow.projects.run.

    curve: (parameters of a training, epoch) -> its metrics. seconds: of an epoch. started: every step that was run, in order.
    """

    curve: Callable[[Parameters, int], dict[str, float]]
    seconds: float = 0.0
    started: list[tuple[str, Parameters]] = field(default_factory=list)

    def __call__(self, *, entry_point: str, parameters: Parameters, experiment_id: str, run_name: str, synchronous: bool, **_):
        client = MlflowClient()
        self.started.append((entry_point, parameters))
        key = pipeline.get_or_run.key_of(entry_point, parameters)
        parent = mlflow.active_run()  # none in the thread of a trial, which puts its run below the sweep's by itself
        tags = {"mlflow.parentRunId": parent.info.run_id} if parent else {}
        run_id = client.create_run(experiment_id, run_name=run_name, tags=tags).info.run_id
        for name, value in parameters.items():
            client.log_param(run_id, name, value)

        def work(canceled: threading.Event) -> None:
            folder = cache_home() / "work" / key.digest
            folder.mkdir(parents=True, exist_ok=True)
            for epoch in range(1, int(parameters["epochs"]) + 1) if entry_point == "train" else ():
                for name, value in self.curve(parameters, epoch).items():
                    client.log_metric(run_id, name, value, step=epoch)
                if canceled.wait(self.seconds):
                    return
            if entry_point == "embed":
                client.log_metric(run_id, "map_at_r_unseen", 0.2 + len(self.started) / 1000)
            with tempfile.TemporaryDirectory() as output:
                (Path(output) / "output.txt").write_text(f"{entry_point} {parameters}")
                client.log_artifacts(run_id, output, OUTPUTS[entry_point])
            record(client, run_id, key, {})
            folder.rmdir()

        submitted = Submitted(run_id, work)
        if synchronous and not submitted.wait():
            raise MlflowException(f"run {run_id} failed")
        return submitted
