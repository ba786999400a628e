"""The algorithm of MLflow's multistep example, reimplemented for this project's steps.

Its flaws are kept: the benchmark compares their cost (docs/results.md).
"""

import argparse
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_PROJECT_ENTRY_POINT

PROJECT = str(Path(__file__).resolve().parents[3])


def _already_ran(entry_point: str, parameters: dict, git_commit: str | None, experiment: str) -> Run | None:
    """The earliest finished run of the entry point with these parameters, as given, and this commit."""
    for run in reversed(MlflowClient().search_runs([experiment])):
        if run.data.tags.get(MLFLOW_PROJECT_ENTRY_POINT) != entry_point:
            continue
        if any(run.data.params.get(name) != value for name, value in parameters.items()):
            continue
        if run.info.status == "FINISHED" and run.data.tags.get(MLFLOW_GIT_COMMIT) == git_commit:
            return run
    return None


def _get_or_run(entry_point: str, parameters: dict, parent: Run) -> Run:
    found = _already_ran(entry_point, parameters, parent.data.tags.get(MLFLOW_GIT_COMMIT), parent.info.experiment_id)
    if found:
        print(f"{entry_point}: reused run {found.info.run_id}")
        return found
    print(f"{entry_point}: running")
    submitted = mlflow.projects.run(PROJECT, entry_point, parameters=parameters, env_manager="local")
    return mlflow.get_run(submitted.run_id)


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("dataset", "weights", "embedding_size", "image_size", "epochs", "classifiers"):
        parser.add_argument(f"--{name}", required=True)
    given = vars(parser.parse_args())
    classifiers = given.pop("classifiers").split(",")
    with mlflow.start_run() as run:
        parent = mlflow.get_run(run.info.run_id)
        prepare = _get_or_run("prepare", {"dataset": given.pop("dataset")}, parent)
        catalogue = f"runs:/{prepare.info.run_id}/catalogue"
        train = _get_or_run("train", {"catalogue": catalogue, **given}, parent)
        onnx = {"encoder": f"runs:/{train.info.run_id}/encoder", "catalogue": catalogue}
        export = _get_or_run("export", onnx, parent)
        embed = _get_or_run("embed", {"onnx": f"runs:/{export.info.run_id}/onnx", "catalogue": catalogue}, parent)
        embeddings = {"embeddings": f"runs:/{embed.info.run_id}/embeddings", "catalogue": catalogue}
        for classifier in classifiers:
            _get_or_run("classify", {**embeddings, "classifier": classifier}, parent)


if __name__ == "__main__":
    main()
