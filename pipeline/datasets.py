"""Datasets in MLflow: each run names the images that it used, so that the UI can group and compare runs by them."""

import shlex
from collections.abc import Mapping

import mlflow
from mlflow import MlflowClient
from mlflow.data import meta_dataset
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.dataset_source import DatasetSource
from mlflow.exceptions import MlflowException

from pipeline.run_names import dataset_name

DIGITS = 8  # of a digest: as many as the UI has room for


class Images(meta_dataset.MetaDataset):
    """Name, digest and source of a dataset; MLflow's own classes would read its contents."""

    @property
    def profile(self) -> None:
        return None


def log_catalogue(catalogue: str, digest: str, used_by: str) -> None:
    """Log on the active run that it used a catalogue.

    catalogue: `runs:/ID/catalogue` or a folder; digest: of its contents; used_by: the entry point, shown next to the name.
    """
    parameters = _prepared_with(catalogue)
    _log(parameters, digest, used_by) if parameters else _log({"dataset": catalogue}, digest, used_by)


def log_prepared(parameters: Mapping[str, object], digest: str) -> None:
    """Log on the active run of prepare what it made. parameters: prepare's, by name; digest: of the catalogue."""
    _log(_before_crop(parameters), digest, "prepare")


def _log(parameters: Mapping[str, object], digest: str, used_by: str) -> None:
    given = str(parameters.get("dataset") or parameters.get("illustrations") or "")
    name = dataset_name(parameters)
    source: DatasetSource = CodeDatasetSource({"dataset" if given else "built-in cast": given or name})
    mlflow.log_input(Images(source, name=name, digest=digest[:DIGITS]), context=used_by)


def _prepared_with(catalogue: str) -> Mapping[str, object]:
    """The parameters of the run of prepare that wrote a catalogue; empty if it is in a plain folder."""
    return _before_crop(_parameters_of_run(catalogue))


def _before_crop(parameters: Mapping[str, object]) -> Mapping[str, object]:
    """Where crop made a dataset, crop's parameters: they name the illustrations that the user gave."""
    return _parameters_of_run(str(parameters.get("dataset", ""))) or parameters


def _parameters_of_run(uri: str) -> Mapping[str, object]:
    if not uri.startswith("runs:/"):
        return {}
    try:
        logged = MlflowClient().get_run(uri.split("/")[1]).data.params
    except MlflowException:
        return {}
    return {name: _unquoted(value) for name, value in logged.items()}


def _unquoted(value: str) -> str:
    """`mlflow run` logs a parameter as it quotes it for a shell."""
    return "".join(shlex.split(value)) if value[:1] == value[-1:] == "'" else value
