"""The MLflow experiment that runs belong to."""

from functools import cache

from mlflow import MlflowClient
from mlflow.entities import Experiment, Run, ViewType
from mlflow.exceptions import MlflowException

from pipeline.cache.key import ROOT

NAME = "crystal-eyes"
DEFAULT_ID = "0"  # where runs go if the user names no experiment
DESCRIPTION = (
    "A run named `main` compares classifiers: its description names the best one and links to each. Below it are its steps; "
    "a step marked *reused* was executed by an earlier run, to which its description links. "
    "To compare runs of main, filter by `tags.entry_point = 'main'` and open the chart view."
)


def name_experiment(run: Run) -> None:
    """Name and describe the experiment of a run if it is MLflow's "Default" and holds only runs of this project.

    `mlflow run` puts runs for which the user names no experiment into number 0, called "Default", before any code of the
    project runs, and a run can't be moved to another experiment. So the experiment is renamed. It keeps its number, and with it
    all runs of earlier versions. On a server that others share, whose runs are there too, nothing is renamed.
    """
    client, number = MlflowClient(), run.info.experiment_id
    # the UI's list of experiments then leads to runs and metrics, not to traces of language models
    client.set_experiment_tag(number, "mlflow.experimentKind", "custom_model_development")
    if client.get_experiment(number).name == Experiment.DEFAULT_EXPERIMENT_NAME and _all_ours(client, number):
        try:
            client.rename_experiment(number, NAME)
        except MlflowException:  # the name is already taken, or another run of main was faster
            return
    if client.get_experiment(number).name == NAME:
        client.set_experiment_tag(number, "mlflow.note.content", DESCRIPTION)


def experiments_to_search(experiment: str) -> list[str]:
    """Where finished steps are looked for: in an experiment, and where runs are put for which none is named."""
    return list(dict.fromkeys([experiment, DEFAULT_ID, *_named(str(MlflowClient().tracking_uri))]))


@cache
def _named(tracking_uri: str) -> list[str]:
    found = MlflowClient(tracking_uri).get_experiment_by_name(NAME)
    return [found.experiment_id] if found and found.lifecycle_stage == "active" else []


def _all_ours(client: MlflowClient, experiment: str) -> bool:
    token = None
    while True:
        runs = client.search_runs([experiment], run_view_type=ViewType.ALL, max_results=1000, page_token=token)
        # `mlflow run` names a checkout by its file URL, everything else by its path
        sources = [run.data.tags.get("mlflow.source.name", "").removeprefix("file://") for run in runs]
        if any(not source.startswith(str(ROOT)) for source in sources):
            return False
        if not (token := runs.token):
            return True
