"""Typed parameters: reads a command line into a frozen dataclass, with one clear line for each mistake.

A field of a configuration is declared with `parameter(...)`. Every value arrives as text (that is how MLflow passes
parameters on), so the field's type decides what "5", "0.10" or "True" means.
"""

import argparse
import dataclasses
import difflib
import math
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

from crystal_eyes.errors import UserError

Config = TypeVar("Config")


def parameter(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
    input: str = "",
    optional: bool = False,
) -> Any:
    """A field of a configuration: default, one line of help, inclusive bounds, allowed words.

    input: "files" or "dataset" where the value names files (a path, `runs:/...`, `models:/...`): the cache key then covers
    their contents, not the name; `choices` then are words that stand for no file. optional: such an input may be empty.
    """
    metadata = {"help": help, "low": low, "high": high, "choices": tuple(choices), "input": input, "optional": optional}
    return dataclasses.field(default=default, metadata=metadata)


def inputs(config: Any) -> dict[str, str]:
    """The values of a configuration that name files (or a word in the place of one), by field."""
    return {f.name: getattr(config, f.name) for f in dataclasses.fields(config) if f.metadata["input"]}


def names_files(config: Any, name: str) -> bool:
    """Whether an input names files, rather than being left empty or a word. Raises UserError where it is needed but empty."""
    value, meta = getattr(config, name), config.__dataclass_fields__[name].metadata
    if not value and not meta["optional"]:
        raise UserError(f"parameter {name} is needed: {meta['help']}")
    return bool(value) and value not in meta["choices"]


def values(config: Any) -> dict[str, Any]:
    """The typed values of a configuration that are no inputs, by field."""
    return {f.name: getattr(config, f.name) for f in dataclasses.fields(config) if not f.metadata["input"]}


def convert(field: dataclasses.Field, text: str) -> Any:
    """The typed value of one parameter. Raises UserError where the text is no such value or out of range."""
    kind, name, meta = field.type, field.name, field.metadata
    if kind is bool:
        words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
        if text.strip().lower() not in words:
            raise UserError(f"parameter {name}={text}: say true or false")
        return words[text.strip().lower()]
    if kind in (int, float):
        try:
            value = kind(float(text)) if kind is int and float(text).is_integer() else kind(text)
        except (ValueError, OverflowError):
            what = "a whole number" if kind is int else "a number"
            raise UserError(f"parameter {name}={text}: give {what}") from None
        low, high = meta["low"], meta["high"]
        if math.isnan(value) or (low is not None and value < low) or (high is not None and value > high):
            bounds = f"at least {low}" if high is None else f"from {low} to {high}"
            raise UserError(f"parameter {name}={text}: out of range, give {bounds}")
        return value
    value = text.strip()
    if meta["choices"] and not meta["input"] and value not in meta["choices"]:
        raise UserError(f"parameter {name}={text}: choose one of {', '.join(meta['choices'])}")
    return value


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(message)


def parse(config: type[Config], arguments: Sequence[str]) -> Config:
    """Read `--name value` pairs into the configuration. Raises UserError on an unknown name or a bad value."""
    fields = {f.name: f for f in dataclasses.fields(config)}
    parser = _Parser(description=config.__doc__, allow_abbrev=False)
    for name, field in fields.items():
        text = f"{field.metadata['help']} (default: {field.default})"
        parser.add_argument(f"--{name}", default=None, help=text.replace("%", "%%"))
    known, unknown = parser.parse_known_args(arguments)
    if unknown:
        name = unknown[0].lstrip("-").split("=")[0]
        close = difflib.get_close_matches(name, fields, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(fields)}"
        raise UserError(f"unknown parameter {name}: {hint}")
    given = {name: convert(fields[name], text) for name, text in vars(known).items() if text is not None}
    return config(**given)
