"""Reads W&B's sweep files. What is not supported is refused with its name, never ignored."""

import dataclasses
import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from crystal_eyes.errors import UserError, said
from pipeline.parameters.declare import convert, value_type
from pipeline.parameters.steps import Train

SCHEMA = Path(__file__).with_name("wandb_schema.json")  # from W&B's package `sweeps` 0.3.0, MIT license
METHODS = ("bayes", "random", "grid")
SUPPORTED = ("name", "description", "program", "command", "method", "metric", "parameters", "early_terminate", "run_cap")
PROGRAM, MODULE = "steps/train.py", "steps.train"
MACROS = ("${env}", "${interpreter}", "${program}", "${args}", "-m", MODULE)
SET_IN_COMMAND = ("wandb", "catalogue")  # paths and W&B settings; never tuned
FIXED_BEFORE_TRIALS = {
    "recipe": "it determines other parameters before the first trial",
    "seed": "it determines the split of the pictures before the first trial",
}
TUNED = {f.name: f for f in dataclasses.fields(Train) if not f.metadata["input"] and f.name not in SET_IN_COMMAND}

_formats = jsonschema.FormatChecker()
_formats.checks("float")(lambda value: isinstance(value, float))
_formats.checks("integer")(lambda value: isinstance(value, int))


@dataclass(frozen=True)
class SweepFile:
    name: str
    method: str  # one of METHODS
    metric: str
    maximize: bool
    space: dict[str, BaseDistribution]  # by parameter of train
    fixed: dict[str, Any]  # parameters of train with one value
    first_epochs: int  # after which a trial is first compared with the others; 0: never
    one_in: int  # of this many trials, the best one continues
    run_cap: int | None


def read(path: str | Path) -> SweepFile:
    """Read a sweep file. Raises UserError on whatever W&B would refuse, and on what is not supported here."""
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise UserError(f"config={path} can't be read ({said(error)}): give a sweep file") from None
    except UnicodeDecodeError:
        raise UserError(f"config={path} is not a text file in UTF-8: give a sweep file in YAML") from None
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a sweep file: it has no keys such as method, metric and parameters")
    try:
        return _sweep_file(content)
    except (UserError, OverflowError, ValueError) as error:  # a number may exceed the range of floats
        raise UserError(f"{path}: {error}") from None


def _sweep_file(content: dict[str, Any]) -> SweepFile:
    for key in content:
        if key not in SUPPORTED:
            raise UserError(f"key {key} is not supported here; remove it (supported: {', '.join(SUPPORTED)})")
    _check_schema(content)
    for key in ("parameters", "metric"):
        if key not in content:
            raise UserError(f"key {key} is missing")
    metric = content["metric"]
    _only(metric, ("name", "goal"), "metric")
    if content.get("program", PROGRAM) != PROGRAM:
        raise UserError(f"program {content['program']} is not supported here; use {PROGRAM}")
    if content["method"] not in METHODS:
        raise UserError(f"method {content['method']} is not supported here; choose one of {', '.join(METHODS)}")
    space, fixed = {}, _fixed_in_command(content.get("command"))
    for name, parameter in content["parameters"].items():
        if name not in TUNED:
            raise UserError(f"train has no parameter {name} that can be searched; it has {', '.join(TUNED)}")
        if name in fixed:
            raise UserError(f"parameter {name} is also given in command; remove one of them")
        found = _distribution(name, parameter)
        if isinstance(found, BaseDistribution):
            if name in FIXED_BEFORE_TRIALS:
                raise UserError(f"parameter {name} can't be searched, because {FIXED_BEFORE_TRIALS[name]}; give it one value")
            space[name] = found
        else:
            fixed[name] = found
    if not space:
        raise UserError("no parameter has more than one value: nothing to search")
    if content["method"] == "grid":
        for name, found in space.items():
            if isinstance(found, FloatDistribution) and found.step is None:
                raise UserError(f"parameter {name}: method grid needs values, not a range")
    stop = content.get("early_terminate", {})
    _only(stop, ("type", "min_iter", "max_iter", "s", "eta"), "early_terminate")
    if "min_iter" in stop and ("max_iter" in stop or "s" in stop):
        raise UserError("early_terminate: give either min_iter, or max_iter and s")
    one_in = stop.get("eta", 3)
    if one_in != int(one_in) or one_in < 2:
        raise UserError(f"early_terminate: eta {one_in} is not supported here; give a whole number of at least 2")
    first = 0
    if stop:  # W&B compares at min_iter times powers of eta, or, from the other end, at max_iter / eta^s
        first = stop["min_iter"] if "min_iter" in stop else round(stop["max_iter"] / one_in ** stop.get("s", 1))
    return SweepFile(
        name=content.get("name", content.get("description", "sweep")), method=content["method"], metric=metric["name"],
        maximize=metric.get("goal", "minimize") == "maximize", space=space, fixed=fixed,
        first_epochs=max(1, first) if stop else 0, one_in=int(one_in), run_cap=content.get("run_cap"),
    )  # fmt: skip


@cache
def _validator() -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(json.loads(SCHEMA.read_text("utf-8")), format_checker=_formats)


def _check_schema(content: dict[str, Any]) -> None:
    parameters = content.get("parameters")
    for name, parameter in parameters.items() if isinstance(parameters, dict) else ():
        low, high = ((parameter.get(end) if isinstance(parameter, dict) else None) for end in ("min", "max"))
        if isinstance(low, int | float) and isinstance(high, int | float) and low >= high:
            raise UserError(f"parameter {name}: min {low} must be below max {high}")
    for error in _validator().iter_errors(content):
        place = ".".join(str(part) for part in error.absolute_path)
        if len(error.absolute_path) == 2 and error.absolute_path[0] == "parameters":
            raise UserError(f"parameter {error.absolute_path[1]}: {error.instance} has none of the forms in W&B's format")
        raise UserError(f"{place}: {error.message}" if place else error.message)


def _only(part: dict[str, Any], names: tuple[str, ...], where: str) -> None:
    for key in part:
        if key not in names:
            raise UserError(f"key {where}.{key} is not supported here; remove it")


def _fixed_in_command(command: list[Any] | None) -> dict[str, Any]:
    """The parameters that a command gives to every trial. Raises UserError unless it starts train with `${args}`."""
    fixed: dict[str, Any] = {}
    if command is None:
        return fixed
    for part in map(str, command):
        name, equals, value = part.removeprefix("--").partition("=")
        if part.startswith("--") and equals and name in TUNED:
            fixed[name] = convert(TUNED[name], value)
        elif part not in MACROS and not (part.startswith("--") and equals and name in SET_IN_COMMAND):
            raise UserError(f"command: {part} is not supported here; a command starts {MODULE} with --parameter=value")
    if "${program}" not in command and MODULE not in command:
        raise UserError(f"command must start {MODULE}")
    if "${args}" not in command:
        raise UserError("command: ${args} is missing, so all trials would be the same")
    return fixed


def _distribution(name: str, parameter: dict[str, Any]) -> BaseDistribution | Any:
    """A parameter's range or choice as Optuna's distribution, or its value if it has only one."""
    field = TUNED[name]
    if "value" in parameter:
        return convert(field, str(parameter["value"]))
    if "values" in parameter and "probabilities" not in parameter:
        values = [convert(field, str(value)) for value in parameter["values"]]
        return CategoricalDistribution(values) if len(values) > 1 else values[0]
    low, high, q = (parameter.get(key) for key in ("min", "max", "q"))
    given = [key for key in ("distribution", "probabilities", "parameters") if key in parameter]
    kind = parameter.get("distribution", *given) if given else "int_uniform" if type(low) is type(high) is int else "uniform"
    if value_type(field) is str:
        raise UserError(f"parameter {name} is text; give values")
    if kind == "int_uniform":
        return IntDistribution(int(_bound(field, low)), int(_bound(field, high)))
    if kind == "log_uniform":  # its bounds are exponents of e
        low, high, kind = math.exp(parameter["min"]), math.exp(parameter["max"]), "log_uniform_values"
    if kind in ("uniform", "log_uniform_values", "q_uniform"):
        if value_type(field) is not float:
            raise UserError(f"parameter {name} does not take {kind}; give int_uniform or values")
        low, high = _bound(field, low), _bound(field, high)
        if kind == "q_uniform":
            q = q or 1.0
            if not math.isclose(low / q, round(low / q), abs_tol=1e-9):
                raise UserError(f"parameter {name}: min {low} must be a multiple of q {q}")
            return FloatDistribution(low, low + math.floor((high - low) / q + 1e-9) * q, step=q)
        return FloatDistribution(low, high, log=kind == "log_uniform_values")
    raise UserError(
        f"parameter {name}: {kind} is not supported here; give values, value, uniform, q_uniform, int_uniform, log_uniform or "
        "log_uniform_values"
    )


def _bound(field: dataclasses.Field, value: object) -> float:
    bound = convert(field, str(value))
    assert isinstance(bound, int | float)  # text has no ranges
    return bound
