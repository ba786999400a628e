"""A reused step below the run of main that reused it: a small run with the step's metrics and a link to the original run."""

import time

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run

from pipeline.run_page import run_link

REUSED = "crystal_eyes.reused"  # tag of a link: the run that it stands for
COPIED = ("entry_point", "mlflow.project.entryPoint", "mlflow.source.name", "mlflow.source.type", "mlflow.user")
MAX_PARAMS, MAX_METRICS = 100, 900  # in one request to MLflow


def link_reused(made: Run, parent: Run) -> None:
    """Put a link to a finished run below another one. It has no outputs and no cache key: it never matches anything."""
    client, now = MlflowClient(), int(time.time() * 1000)
    if made.data.tags.get("mlflow.parentRunId") == parent.info.run_id or _linked(client, made, parent):
        return
    note = f"Reused from {run_link(made.info)}, which holds the artifacts.\n\n{made.data.tags.get('mlflow.note.content', '')}"
    tags = {name: made.data.tags[name] for name in COPIED if name in made.data.tags}
    tags |= {REUSED: made.info.run_id, "mlflow.parentRunId": parent.info.run_id, "mlflow.note.content": note.strip()}
    name = f"{made.info.run_name} (reused)"
    link = client.create_run(parent.info.experiment_id, start_time=now, tags=tags, run_name=name).info.run_id
    metrics = [Metric(key, value, now, 0) for key, value in made.data.metrics.items() if not key.startswith("system/")]
    params = [Param(key, value) for key, value in made.data.params.items()]
    client.log_batch(link, metrics[:MAX_METRICS], params[:MAX_PARAMS])
    if made.inputs and made.inputs.dataset_inputs:
        client.log_inputs(link, made.inputs.dataset_inputs)
    client.set_terminated(link, end_time=now)


def _linked(client: MlflowClient, made: Run, parent: Run) -> bool:
    same = f"tags.`{REUSED}` = '{made.info.run_id}' and tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    return bool(client.search_runs([parent.info.experiment_id], same, max_results=1))
