"""W&B's sweep files, as far as they can be honoured here. What can't be is refused by name, never ignored."""

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from crystal_eyes.errors import UserError
from pipeline.parameters.declare import convert
from pipeline.parameters.steps import Train

SCHEMA = Path(__file__).with_name("wandb_schema.json")  # of W&B's package `sweeps` 0.3.0, MIT
METHODS = ("bayes", "random", "grid")
HONOURED = ("name", "description", "program", "command", "method", "metric", "parameters", "early_terminate", "run_cap")
PROGRAM, MODULE = "steps/train.py", "steps.train"
MACROS = ("${env}", "${interpreter}", "${program}", "${args}", "-m", MODULE)
ELSEWHERE = ("wandb", "catalogue")  # in a command, they say how W&B's agent reaches its service and the pictures
SETTLED = {
    "recipe": "it settles other parameters before the first trial",
    "seed": "pictures are split by it before the first trial",
}
TUNED = {f.name: f for f in dataclasses.fields(Train) if not f.metadata["input"] and f.name not in ELSEWHERE}

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
    first_epochs: int  # after which a trial is compared with the others; 0: never
    one_in: int  # of how many trials one goes on then
    run_cap: int | None


def read(path: str | Path) -> SweepFile:
    """Read a sweep file. Raises UserError on whatever W&B would refuse, and on what can't be honoured here."""
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"config={path} can't be read ({getattr(error, 'strerror', None) or error})") from None
    try:
        said = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(said, dict):
        raise UserError(f"{path} is no sweep file: it holds no keys such as method, metric and parameters")
    try:
        return _honoured(said)
    except (UserError, OverflowError, ValueError) as error:  # a number may be beyond all floats
        raise UserError(f"{path}: {error}") from None


def _honoured(said: dict[str, Any]) -> SweepFile:
    for key in said:
        if key not in HONOURED:
            raise UserError(f"key {key} can't be honoured here: take it out (there are {', '.join(HONOURED)})")
    _check_schema(said)
    for key in ("parameters", "metric"):
        if key not in said:
            raise UserError(f"{key} is missing")
    metric = said["metric"]
    _only(metric, ("name", "goal"), "metric")
    if said.get("program", PROGRAM) != PROGRAM:
        raise UserError(f"program {said['program']} can't be run: the entry point that trains is {PROGRAM}")
    if said["method"] not in METHODS:
        raise UserError(f"method {said['method']} can't be honoured here: choose one of {', '.join(METHODS)}")
    space, fixed = {}, _fixed_in_command(said.get("command"))
    for name, parameter in said["parameters"].items():
        if name not in TUNED:
            raise UserError(f"parameter {name} is none that train has: there are {', '.join(TUNED)}")
        if name in fixed:
            raise UserError(f"parameter {name} is given in command too: leave one out")
        found = _distribution(name, parameter)
        if isinstance(found, BaseDistribution):
            if name in SETTLED:
                raise UserError(f"parameter {name} can't be searched, {SETTLED[name]}: give it one value")
            space[name] = found
        else:
            fixed[name] = found
    if not space:
        raise UserError("no parameter has more than one value: nothing to search")
    if said["method"] == "grid":
        for name, found in space.items():
            if isinstance(found, FloatDistribution) and found.step is None:
                raise UserError(f"parameter {name}: method grid needs values, not a range")
    stop = said.get("early_terminate", {})
    _only(stop, ("type", "min_iter", "max_iter", "s", "eta"), "early_terminate")
    if "min_iter" in stop and ("max_iter" in stop or "s" in stop):
        raise UserError("early_terminate: min_iter stands alone, or max_iter and s do: leave one out")
    one_in = stop.get("eta", 3)
    if one_in != int(one_in) or one_in < 2:
        raise UserError(f"early_terminate: eta {one_in} can't be honoured, give a whole number from 2")
    first = 0
    if stop:  # W&B compares at min_iter and eta times as long, or, from the other end, at max_iter / eta^s
        first = stop["min_iter"] if "min_iter" in stop else round(stop["max_iter"] / one_in ** stop.get("s", 1))
    return SweepFile(
        name=said.get("name", said.get("description", "sweep")), method=said["method"], metric=metric["name"],
        maximize=metric.get("goal", "minimize") == "maximize", space=space, fixed=fixed,
        first_epochs=max(1, first) if stop else 0, one_in=int(one_in), run_cap=said.get("run_cap"),
    )  # fmt: skip


def _check_schema(said: dict[str, Any]) -> None:
    parameters = said.get("parameters")
    for name, parameter in parameters.items() if isinstance(parameters, dict) else ():
        low, high = ((parameter.get(end) if isinstance(parameter, dict) else None) for end in ("min", "max"))
        if isinstance(low, int | float) and isinstance(high, int | float) and low >= high:
            raise UserError(f"parameter {name}: its range is empty, min {low} is not below max {high}")
    validator = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text("utf-8")), format_checker=_formats)
    for error in validator.iter_errors(said):
        place = ".".join(str(part) for part in error.absolute_path)
        if len(error.absolute_path) == 2 and error.absolute_path[0] == "parameters":
            raise UserError(f"parameter {error.absolute_path[1]}: {error.instance} is none of the forms that W&B's format has")
        raise UserError(f"{place}: {error.message}" if place else error.message)


def _only(part: dict[str, Any], names: tuple[str, ...], where: str) -> None:
    for key in part:
        if key not in names:
            raise UserError(f"key {where}.{key} can't be honoured here: take it out")


def _fixed_in_command(command: list[Any] | None) -> dict[str, Any]:
    """The parameters that a command gives to every trial; it has to start train with those that are searched."""
    fixed: dict[str, Any] = {}
    if command is None:
        return fixed
    for part in map(str, command):
        name, equals, value = part.removeprefix("--").partition("=")
        if part.startswith("--") and equals and name in TUNED:
            fixed[name] = convert(TUNED[name], value)
        elif part not in MACROS and not (part.startswith("--") and equals and name in ELSEWHERE):
            raise UserError(f"command: {part} can't be honoured here, a command starts {MODULE} with --parameter=value")
    if "${program}" not in command and MODULE not in command:
        raise UserError(f"command starts another program than {MODULE}")
    if "${args}" not in command:
        raise UserError("command: ${args} is missing, all trials would be the same training")
    return fixed


def _distribution(name: str, parameter: dict[str, Any]) -> BaseDistribution | Any:
    """What Optuna calls a parameter's range or choice; a plain value for a constant."""
    field = TUNED[name]
    if "value" in parameter:
        return convert(field, str(parameter["value"]))
    if "values" in parameter and "probabilities" not in parameter:
        values = [convert(field, str(value)) for value in parameter["values"]]
        return CategoricalDistribution(values) if len(values) > 1 else values[0]
    low, high, q = (parameter.get(key) for key in ("min", "max", "q"))
    given = [key for key in ("distribution", "probabilities", "parameters") if key in parameter]
    kind = parameter.get("distribution", *given) if given else "int_uniform" if type(low) is type(high) is int else "uniform"
    if field.type is str:
        raise UserError(f"parameter {name} is text: give values")
    if kind == "int_uniform":
        low, high = (convert(field, str(end)) for end in (low, high))
        return IntDistribution(int(low), int(high))
    if kind == "log_uniform":  # its bounds are exponents of e
        low, high, kind = math.exp(low), math.exp(high), "log_uniform_values"
    if kind in ("uniform", "log_uniform_values", "q_uniform"):
        if field.type is not float:
            raise UserError(f"parameter {name} takes no {kind}: give int_uniform or values")
        low, high = (convert(field, str(end)) for end in (low, high))
        if kind == "q_uniform":
            q = q or 1.0
            if not math.isclose(low / q, round(low / q), abs_tol=1e-9):
                raise UserError(f"parameter {name}: min {low} is no multiple of q {q}")
            return FloatDistribution(low, low + math.floor((high - low) / q + 1e-9) * q, step=q)
        return FloatDistribution(low, high, log=kind == "log_uniform_values")
    raise UserError(
        f"parameter {name}: {kind} can't be honoured here, give values, value, uniform, q_uniform, int_uniform, log_uniform or "
        "log_uniform_values"
    )
