"""Typed parameters: parses a command line into frozen dataclasses, with a one-line message for each mistake.

A field is declared with `parameter(...)`, or taken from a library option with `from_option(...)`. Every value arrives as text
(that is how MLflow passes parameters on), so the field's type decides what "5", "0.10" or "True" means. A field of type
`X | None` may be empty: None.
"""

import argparse
import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Self, TypeVar

from crystal_eyes.artifacts import local_path
from crystal_eyes.data.listing import listed
from crystal_eyes.data.storage import is_remote
from crystal_eyes.errors import UserError

Parameters = TypeVar("Parameters")
Value = str | int | float | bool | None


def parameter(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
    input: str = "",
    optional: bool = False,
    chained: bool = False,
    places: Mapping[str, Path] | None = None,
) -> Any:
    """A field of a parameters dataclass: default, one line of help, inclusive bounds, allowed words.

    input: "files" or "dataset" where the value names files (a path, `runs:/...`, `models:/...`): the cache key then covers
    their contents, not the name; `choices` are then words that name no file. optional: such an input may be empty.
    chained: main fills it in, from the result of another step. places: words that stand for files of this checkout.
    """
    metadata = {"help": help, "low": low, "high": high, "choices": tuple(choices), "input": input, "optional": optional,
                "chained": chained, "places": places or {}}  # fmt: skip
    return dataclasses.field(default=default, metadata=metadata)


def from_option(options: type, name: str) -> Any:
    """A field with the default, help and bounds of an option of the library."""
    field = next(field for field in dataclasses.fields(options) if field.name == name)
    return parameter(field.default, **{key: field.metadata[key] for key in ("help", "low", "high", "choices")})


def same_as(parameters: type, name: str) -> Any:
    """A field that is declared like one of other parameters."""
    field = next(field for field in dataclasses.fields(parameters) if field.name == name)
    return dataclasses.field(default=field.default, metadata=field.metadata)


def step_result(help: str, places: Mapping[str, Path] | None = None, optional: bool = False) -> Any:
    """A field that names the result of another step; main fills it in."""
    return parameter("", help, input="files", chained=True, places=places, optional=optional)


def inputs(parameters: Any) -> dict[str, str]:
    """The values that name files (or a word instead of one), by field."""
    return {f.name: getattr(parameters, f.name) for f in dataclasses.fields(parameters) if f.metadata["input"]}


def values(parameters: Any) -> dict[str, Value]:
    """The typed values that are not inputs, by field."""
    return {f.name: getattr(parameters, f.name) for f in dataclasses.fields(parameters) if not f.metadata["input"]}


def names_files(parameters: Any, name: str) -> bool:
    """Whether an input names files, rather than being empty or a word. Raises UserError where it is required but empty."""
    value, metadata = getattr(parameters, name), parameters.__dataclass_fields__[name].metadata
    if not value and not metadata["optional"]:
        raise UserError(f"parameter {name} is required: {metadata['help']}")
    return bool(value) and value not in metadata["choices"]


def input_path(parameters: Any, name: str) -> Path:
    """The local path of an input that names files. Raises UserError where there is no such file or folder."""
    value = getattr(parameters, name)
    place = parameters.__dataclass_fields__[name].metadata["places"].get(value)
    if place is None:
        elsewhere = is_remote(value) and parameters.__dataclass_fields__[name].metadata["input"] == "dataset"
        return listed(value) if elsewhere and getattr(parameters, "engine", "local") != "local" else local_path(value)
    if not place.exists():
        raise UserError(f"parameter {name}={value}: {place} does not exist in this checkout: give a path, or leave {name} out")
    return place


def as_text(value: Value) -> str:
    """A value as the command line takes it."""
    return "" if value is None else str(value)


def value_type(field: dataclasses.Field) -> type:
    """bool, int, float or str: the type of a field's values, None aside."""
    kinds = [kind for kind in typing.get_args(field.type) or (field.type,) if kind is not types.NoneType]
    return kinds[0]


def convert(field: dataclasses.Field, text: str) -> Value:
    """The typed value of one parameter. Raises UserError where the text is not such a value or out of range."""
    kind, name, metadata = value_type(field), field.name, field.metadata
    if not text.strip() and kind is not field.type:
        return None
    if kind is bool:
        words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
        if text.strip().lower() not in words:
            raise UserError(f"parameter {name}={text}: give true or false")
        return words[text.strip().lower()]
    if kind in (int, float):
        try:
            value = _whole(text) if kind is int else float(text)
        except (ValueError, OverflowError):
            what = "a whole number" if kind is int else "a number"
            raise UserError(f"parameter {name}={text}: give {what}") from None
        low, high = metadata["low"], metadata["high"]
        if math.isnan(value) or (low is not None and value < low) or (high is not None and value > high):
            bounds = f"at least {low}" if high is None else f"from {low} to {high}"
            raise UserError(f"parameter {name}={text}: out of range, give {bounds}")
        return value
    word = text.strip()
    if metadata["choices"] and not metadata["input"] and word not in metadata["choices"]:
        raise UserError(f"parameter {name}={text}: choose one of {', '.join(metadata['choices'])}")
    return word


def _whole(text: str) -> int:
    """5, "5.0" and "1e1" are whole numbers. Raises ValueError, OverflowError."""
    try:
        return int(text)
    except ValueError:
        number = float(text)
        if not number.is_integer():
            raise
        return int(number)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(message)


def parse(parameters: type[Parameters], arguments: Sequence[str]) -> Parameters:
    """Read `--name value` pairs into a parameters dataclass. Raises UserError on an unknown name or a bad value."""
    fields = {field.name: field for field in dataclasses.fields(parameters)}  # type: ignore[arg-type]
    return parameters(**_parsed(fields, arguments, parameters.__doc__))


class Together:
    """Base of a dataclass whose fields are parameters dataclasses, which are read from one command line."""

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> Self:
        """Without the fields that main fills in. Raises UserError on an unknown name or a bad value."""
        return cls(*parse_together(parts(cls), arguments, cls.__doc__ or ""))


def parse_together(classes: Sequence[type], arguments: Sequence[str], description: str) -> list[Any]:
    """An instance of each parameters dataclass, read from one command line. See Together.parse."""
    given = _parsed(merged_fields(classes), arguments, description)
    own = [{field.name for field in own_fields(one)} for one in classes]
    return [one(**{name: given[name] for name in given.keys() & names}) for one, names in zip(classes, own)]


def parts(together: type) -> list[type]:
    """The parameters dataclasses of a subclass of Together."""
    return [field.type for field in dataclasses.fields(together)]  # type: ignore[misc]


def own_fields(parameters: type) -> list[dataclasses.Field]:
    """The fields that a user of main gives: not those that it fills in from other steps."""
    return [field for field in dataclasses.fields(parameters) if not field.metadata["chained"]]


def own_values(parameters: Any) -> dict[str, Any]:
    """The values of own_fields, by field."""
    return {field.name: getattr(parameters, field.name) for field in own_fields(type(parameters))}


def merged_fields(classes: Iterable[type]) -> dict[str, dataclasses.Field]:
    """The fields of several classes by name.

    Raises ValueError where two classes mean different things by one name: a value would be given to both.
    """
    found: dict[str, tuple[type, dataclasses.Field]] = {}
    for one in classes:
        for field in own_fields(one):
            owner, first = found.setdefault(field.name, (one, field))
            if (first.type, first.default, first.metadata) != (field.type, field.default, field.metadata):
                raise ValueError(f"{owner.__name__}.{field.name} and {one.__name__}.{field.name} are declared differently")
    return {name: field for name, (_, field) in found.items()}


def _parsed(fields: dict[str, dataclasses.Field], arguments: Sequence[str], doc: str | None) -> dict[str, Value]:
    parser = _Parser(description=doc, allow_abbrev=False)
    for name, field in fields.items():
        default = "empty" if field.default in ("", None) else field.default
        text = f"{field.metadata['help']} (default: {default})"
        parser.add_argument(f"--{name}", default=None, help=text.replace("%", "%%"))
    known, unknown = parser.parse_known_args(arguments)
    if unknown:
        name = unknown[0].lstrip("-").split("=")[0]
        close = difflib.get_close_matches(name, fields, n=1)
        hint = f"did you mean {close[0]}?" if close else f"the parameters are {', '.join(fields)}"
        raise UserError(f"unknown parameter {name}: {hint}")
    return {name: convert(fields[name], text) for name, text in vars(known).items() if text is not None}
