"""What a sweep found, on its way into main."""

import dataclasses
import json
from typing import Any

from crystal_eyes.artifacts import local_path
from crystal_eyes.errors import UserError
from pipeline.parameters.declare import convert
from pipeline.parameters.steps import STEPS


def with_tuned(config: Any) -> Any:
    """The configuration of main with the values of its file `params`, JSON {parameter of train: value}.

    Raises UserError where the file can't be read, names no parameter of train, or says other than the command line.
    """
    if not config.params:
        return config
    path = local_path(config.params)
    try:
        said = json.loads(path.read_text("utf-8"))
        if not isinstance(said, dict):
            raise ValueError("it holds no {parameter: value}")
    except (OSError, ValueError) as error:
        raise UserError(f"params={config.params} can't be read ({error}): give best_parameters.json of a sweep") from None
    fields = {f.name: f for f in dataclasses.fields(STEPS["train"]) if f.name != "catalogue"}
    for name, value in said.items():
        if name not in fields:
            raise UserError(f"params={config.params}: {name} is no parameter of train")
        said[name] = convert(fields[name], str(value))
    return with_values(config, said, "params")


def with_values(config: Any, said: dict[str, Any], where: str) -> Any:
    """The configuration with the values that a file says. Raises UserError where the command line says other."""
    for f in dataclasses.fields(config):
        if f.name in said and getattr(config, f.name) not in (f.default, said[f.name]):
            raise UserError(f"{f.name}={getattr(config, f.name)} is given, and {where} says {said[f.name]}: leave one out")
    return dataclasses.replace(config, **said)
