"""How a step's run is shown in MLflow's UI: its name, its description, and the dataset that it used."""

from collections.abc import Mapping

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from pipeline.datasets import log_catalogue
from pipeline.run_names import is_generated, step_name
from pipeline.run_page import run_link

ENTRY_POINT = "entry_point"  # tag of every run: what to filter and group by in the UI
LONG = ("train", "distill", "detector", "embed")  # steps whose use of CPU, memory, disk and network is logged


def show_step(run: Run, entry_point: str, parameters: object, inputs: Mapping[str, str], digests: Mapping[str, str]) -> None:
    """Name and describe the active run of a step, and log the catalogue that it uses.

    parameters: the step's dataclass, with the recipe's defaults. inputs: what its inputs were given as, by parameter;
    digests: of their contents.
    """
    if is_generated(run.info.run_name):
        mlflow.set_tag("mlflow.runName", step_name(entry_point, vars(parameters)))
    mlflow.set_tags({ENTRY_POINT: entry_point, "mlflow.note.content": description(parameters, inputs)})
    if inputs.get("catalogue"):
        log_catalogue(inputs["catalogue"], digests["catalogue"], entry_point)


def description(parameters: object, inputs: Mapping[str, str]) -> str:
    """Markdown: what a step does, and where each input comes from."""
    lines = [f"- {name}: {_origin(value)}" for name, value in inputs.items() if value]
    return "\n".join([(type(parameters).__doc__ or "").strip(), *(["", *lines] if lines else [])])


def _origin(value: str) -> str:
    if not value.startswith("runs:/"):
        return f"`{value}`"
    try:
        return run_link(MlflowClient().get_run(value.split("/")[1]).info)
    except MlflowException:
        return f"`{value}`"
