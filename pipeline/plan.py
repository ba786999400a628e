"""The plan: what a main would run and what it would reuse, and why; runs nothing."""

from dataclasses import dataclass
from typing import Any

from mlflow import MlflowClient

from pipeline.cache.key import PENDING
from pipeline.cache.records import find, nearest
from pipeline.chain import run_chain
from pipeline.get_or_run import current_experiment, key_of, label


@dataclass
class Planned:
    run_id: str | None

    def output(self, name: str) -> str:
        return f"runs:/{self.run_id}/{name}" if self.run_id else f"{PENDING}{name}"


def print_plan(config: Any) -> None:
    """Print a line a step: `reuse` with its run, or `run` with every reason."""
    client, experiment = MlflowClient(), current_experiment()
    counts = {"run": 0, "reuse": 0}

    def plan(entry_point: str, parameters: dict[str, Any]) -> Planned:
        run_id, reasons = _look_up(client, experiment, entry_point, parameters, config.cache == "on")
        verdict = "reuse" if run_id else "run"
        counts[verdict] += 1
        print(f"{verdict:5}  {label(entry_point, parameters)}" + (f"  (run {run_id})" if run_id else ""))
        for reason in reasons:
            print(f"         {reason}")
        return Planned(run_id)

    run_chain(config, plan)
    print(f"plan: {counts['run']} to run, {counts['reuse']} to reuse; nothing was run")


def _look_up(client, experiment, entry_point, parameters, use_cache) -> tuple[str | None, list[str]]:
    """The run to reuse, or None and the reasons why there is none."""
    if not use_cache:
        return None, ["the cache is off"]
    key = key_of(entry_point, parameters)
    waiting = [name for name, digest in key.inputs.items() if digest.startswith(PENDING)]
    reasons = [f"input {name} comes from a step that runs" for name in waiting]
    if not waiting:
        run, reasons = find(client, experiment, key)
        if run is not None:
            return run.info.run_id, []
    other, found = nearest(client, experiment, key)
    if other is None:
        return None, [*reasons, "no finished run of it yet"]
    known = [line for line in found if not any(line.startswith(f"input {name} ") for name in waiting)]
    return None, [*reasons, *(f"{line} (against run {other.info.run_id})" for line in known)]
