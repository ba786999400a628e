"""The plan: prints what main would run or reuse, and why, without running it."""

from collections.abc import Callable
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run

from pipeline.cache.key import PENDING
from pipeline.cache.records import find, nearest
from pipeline.chain import Runner, StepResult, run_chain
from pipeline.get_or_run import current_experiment, key_of, label
from pipeline.parameters.entry_points import Main


def print_plan(main: Main, chain: Callable[[Main, Runner], object] = run_chain) -> None:
    """Print a line per step: `reuse` with its run, or `run` with every reason. chain: calls the runner for every step."""
    client, experiment = MlflowClient(), current_experiment()
    counts = {"run": 0, "reuse": 0}

    def plan(entry_point: str, parameters: dict[str, Any]) -> StepResult:
        run, reasons = _look_up(client, experiment, entry_point, parameters, main.options.cache == "on")
        verdict = "reuse" if run else "run"
        counts[verdict] += 1
        print(f"{verdict:5}  {label(entry_point, parameters)}" + (f"  (run {run.info.run_id})" if run else ""))
        for reason in reasons:
            print(f"         {reason}")
        return StepResult(run)

    chain(main, plan)
    print(f"plan: {counts['run']} to run, {counts['reuse']} to reuse; nothing was run")


def _look_up(
    client: MlflowClient, experiment: str, entry_point: str, parameters: dict[str, Any], use_cache: bool
) -> tuple[Run | None, list[str]]:
    """The run to reuse, or None and the reasons why there is none."""
    if not use_cache:
        return None, ["the cache is off"]
    key = key_of(entry_point, parameters)
    waiting = [name for name, digest in key.inputs.items() if digest.startswith(PENDING)]
    reasons = [f"input {name} comes from a step that has to run" for name in waiting]
    if not waiting:
        run, reasons = find(client, experiment, key)
        if run is not None:
            return run, []
    other, differences = nearest(client, experiment, key)
    if other is None:
        return None, [*reasons, "it has no finished run yet"]
    known = [line for line in differences if not any(line.startswith(f"input {name} ") for name in waiting)]
    return None, [*reasons, *(f"{line} (compared with run {other.info.run_id})" for line in known)]
