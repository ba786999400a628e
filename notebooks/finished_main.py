"""What both notebooks start with: the finished main to look at, and the runs that it was made from."""

import os
from pathlib import Path

import mlflow
from mlflow.entities import Run


class Stop(Exception):
    def _render_traceback_(self):  # IPython shows these lines in the place of a traceback
        return [str(self)]


def open_main(run_id: str) -> Run:
    """The main with this id, or the newest finished one where it is empty. Goes to the root of the repository."""
    here = Path.cwd().resolve()
    os.chdir(next((p for p in (here, *here.parents) if (p / "MLproject").is_file()), here))
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    if not mlflow.is_tracking_uri_set():
        if not Path("mlflow.db").exists():  # a look should not create a store
            raise Stop("There is no mlflow.db yet: run `make main` first, or set MLFLOW_TRACKING_URI.")
        mlflow.set_tracking_uri("sqlite:///mlflow.db")
    return mlflow.get_run(run_id) if run_id else _newest()


def _newest() -> Run:
    """The newest finished main. A plan has only printed what it would do, so it does not count."""
    client = mlflow.MlflowClient()
    everywhere = [experiment.experiment_id for experiment in client.search_experiments()]
    # MLflow has no "or" in a filter; older versions only named their runs "main"
    found = [run for is_main in ("tags.entry_point = 'main'", "attributes.run_name = 'main'")
             for run in client.search_runs(everywhere, f"{is_main} and attributes.status = 'FINISHED'", max_results=20,
                                           order_by=["attributes.end_time DESC"])]  # fmt: skip
    for run in sorted(found, key=lambda run: run.info.end_time, reverse=True):
        if any(artifact.path == "comparison.json" for artifact in client.list_artifacts(run.info.run_id)):
            return run
    raise Stop(f"No finished main in {mlflow.get_tracking_uri()}: run `make main` first, or set MLFLOW_TRACKING_URI.")


def best_classifier(main: Run) -> Run:
    """The run of the best classifier in a main's comparison."""
    return mlflow.get_run(mlflow.load_table("comparison.json", run_ids=[main.info.run_id])["run_id"].iloc[0])


def made_bundle(main: Run) -> Run:
    """The run that made a main's bundle."""
    if "bundle_run" not in main.data.tags:
        raise Stop("This main was made by an older version: run `make main` again; finished steps are reused.")
    return mlflow.get_run(main.data.tags["bundle_run"])


def came_from(run: Run, parameter: str) -> Run | None:
    """The run whose result a step was given as this parameter, or None if it was given a plain path."""
    value = run.data.params.get(parameter, "")
    return mlflow.get_run(value.split("/")[1]) if value.startswith("runs:/") else None
