"""Shared by both notebooks: finds a finished run of main, and the runs that its results came from."""

import os
import sys
from pathlib import Path

import mlflow
from mlflow.entities import Run

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the pipeline is not installed, it is used from the checkout


class Stop(Exception):
    def _render_traceback_(self):  # IPython shows these lines instead of a traceback
        return [str(self)]


def open_main(run_id: str) -> Run:
    """The run of main with this ID, or the newest finished one if it is empty. Changes to the root of the repository."""
    here = Path.cwd().resolve()
    os.chdir(next((p for p in (here, *here.parents) if (p / "MLproject").is_file()), here))
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    if not mlflow.is_tracking_uri_set():
        if not Path("mlflow.db").exists():  # reading should not create a store
            raise Stop("There is no mlflow.db yet: run `make main` first, or set MLFLOW_TRACKING_URI.")
        mlflow.set_tracking_uri("sqlite:///mlflow.db")
    return mlflow.get_run(run_id) if run_id else _newest()


def _newest() -> Run:
    """The newest finished run of main. Plans do not count."""
    client = mlflow.MlflowClient()
    everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
    # MLflow has no "or" in a filter; older versions only named their runs "main"
    found = [run for is_main in ("tags.entry_point = 'main'", "attributes.run_name = 'main'")
             for run in client.search_runs(everywhere, f"{is_main} and attributes.status = 'FINISHED'", max_results=20,
                                           order_by=["attributes.end_time DESC"])]  # fmt: skip
    for run in sorted(found, key=lambda run: run.info.end_time, reverse=True):
        if any(artifact.path == "comparison.json" for artifact in client.list_artifacts(run.info.run_id)):
            return run
    raise Stop(f"No finished run of main in {mlflow.get_tracking_uri()}: run `make main` first, or set MLFLOW_TRACKING_URI.")


def best_classifier(main: Run) -> Run:
    """The run of the best classifier in the comparison of main."""
    return mlflow.get_run(mlflow.load_table("comparison.json", run_ids=[main.info.run_id])["run_id"].iloc[0])


def made_bundle(main: Run) -> Run:
    """The run that built the bundle of main."""
    if "bundle_run" not in main.data.tags:
        raise Stop("This run of main is from an older version: run `make main` again; finished steps are reused.")
    return mlflow.get_run(main.data.tags["bundle_run"])


def came_from(run: Run, parameter: str) -> Run | None:
    """The run whose result was given to a step as this parameter, or None if a plain path was given."""
    value = run.data.params.get(parameter, "")
    return mlflow.get_run(value.split("/")[1]) if value.startswith("runs:/") else None
