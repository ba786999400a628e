"""What a sweep found, on its way into main."""

import dataclasses
import json
from typing import Any

from crystal_eyes.artifacts import local_path
from crystal_eyes.config import STEPS
from crystal_eyes.errors import UserError
from crystal_eyes.parameters import convert


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
        if getattr(config, name) not in (fields[name].default, said[name]):
            raise UserError(f"{name}={getattr(config, name)} is given, and params says {said[name]}: leave one out")
    return dataclasses.replace(config, **said)
