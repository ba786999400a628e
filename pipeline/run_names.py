"""The names of runs in MLflow, which show what distinguishes them in a table of runs."""

import re
from collections.abc import Mapping

from crystal_eyes.artifacts import is_uri

MAX_LENGTH = 120  # characters
# shown by other parts of the name, or irrelevant to the result
NOT_NAMED = ("dataset", "illustrations", "recipe", "seed", "characters", "pictures", "plan", "cache", "params")


def is_generated(name: str | None) -> bool:
    """Whether MLflow generated the name (`zealous-slug-480`), so that no user's own name is replaced."""
    return not name or re.fullmatch(r"[a-z]+-[a-z]+-\d+", name) is not None


def label(entry_point: str, parameters: Mapping[str, object]) -> str:
    """The label of a step among others of one run of main: with its classifier, or with its seed if that isn't 0."""
    if entry_point == "train" and int(str(parameters.get("seed", 0))):
        return f"train seed {parameters['seed']}"
    return f"classify {parameters['classifier']}" if entry_point == "classify" else entry_point


def step_name(entry_point: str, parameters: Mapping[str, object]) -> str:
    """The name of a step's run: `train seed 1, best`, `prepare, cast 80x45`, `classify perceptron`."""
    parts = [label(entry_point, parameters)]
    if entry_point == "prepare" and not is_uri(str(parameters.get("dataset", ""))):
        parts.append(dataset_name(parameters))
    if recipe := parameters.get("recipe"):
        parts.append(str(recipe))
    return ", ".join(parts)


def main_name(values: Mapping[str, object], defaults: Mapping[str, object]) -> str:
    """The name of a run of main: `faiss_neighbors=3, recipe best, cast 80x45`. Parameters that were set explicitly come first.

    The UI's table shows 20 characters of it, and the dataset in its own column. values, defaults: by parameter of main.
    """
    parts = [f"{name}={_short(value)}" for name, value in values.items()
             if name not in NOT_NAMED and value != defaults.get(name)]  # fmt: skip
    if values["seed"]:
        parts.append(f"seed {values['seed']}")
    parts += [f"recipe {values['recipe']}", dataset_name(values)]
    name = ", ".join(["plan", *parts] if values.get("plan") else parts)
    return name if len(name) <= MAX_LENGTH else name[: MAX_LENGTH - 1] + "…"


def dataset_name(parameters: Mapping[str, object]) -> str:
    """The name of a dataset: its folder or table without the suffix; the built-in cast by its size."""
    given = str(parameters.get("dataset") or parameters.get("illustrations") or "")
    if not given:
        return f"cast {parameters.get('characters')}x{parameters.get('pictures')}"
    name = given.rstrip("/").rsplit("/", 1)[-1]
    return re.sub(r"\.(csv|parquet|tsv)$", "", name) or given


def _short(value: object) -> str:
    return str(value).rstrip("/").rsplit("/", 1)[-1]
