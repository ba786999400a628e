"""The parameters that a sweep found, as parameters of main."""

import dataclasses
import json
from typing import Any

from crystal_eyes.artifacts import local_path
from crystal_eyes.errors import UserError
from pipeline.parameters.declare import convert, own_fields
from pipeline.parameters.steps import Train


def read_tuned(source: str) -> dict[str, Any]:
    """The values in a sweep's best_parameters.json, JSON {parameter of train: value}. source: a path or URI.

    Raises UserError where the file cannot be read, names no parameter of train, or holds a bad value.
    """
    path = local_path(source)
    try:
        found = json.loads(path.read_text("utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it is not a JSON object {parameter: value}")
    except (OSError, ValueError) as error:
        raise UserError(f"params={source} cannot be read ({error}): give the best_parameters.json of a sweep") from None
    fields = {field.name: field for field in own_fields(Train)}
    for name in found:
        if name not in fields:
            raise UserError(f"params={source}: {name} is not a parameter of train")
    return {name: convert(fields[name], str(value)) for name, value in found.items()}


def with_values(train: Train, values: dict[str, Any], source: str) -> Train:
    """Train's parameters with the values of a file. Raises UserError where the command line gives another value."""
    for field in own_fields(Train):
        given = getattr(train, field.name)
        if field.name in values and given not in (field.default, values[field.name]):
            raise UserError(f"{field.name}={given} is given, but {source} says {values[field.name]}: remove one of them")
    return dataclasses.replace(train, **values)
