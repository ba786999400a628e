"""What the cache records on the MLflow run of a finished step, and how it finds the run again."""

import json

from mlflow import MlflowClient
from mlflow.entities import Run

from crystal_eyes.artifacts import local_path
from crystal_eyes.errors import UserError
from crystal_eyes.stores import UnreachableError
from pipeline.cache.digests import digest_path
from pipeline.cache.key import PARTS, CacheKey
from pipeline.experiment import experiments_to_search

STEP, KEY, OUTPUTS = "crystal_eyes.step", "crystal_eyes.key", "crystal_eyes.outputs"
RECENT = 100  # finished runs of a step that an explanation looks back at


def record(client: MlflowClient, run_id: str, key: CacheKey, outputs: dict[str, str]) -> None:
    """Make a run a match for its key. Called last, when every output is in the store.

    outputs: digests by artifact name. The key itself is set at the very end, so that a partially recorded run matches nothing.
    """
    client.set_tag(run_id, STEP, key.entry_point)
    for part in PARTS:
        client.set_tag(run_id, f"crystal_eyes.{part}", json.dumps(getattr(key, part)))
    client.set_tag(run_id, OUTPUTS, json.dumps(outputs))
    client.set_tag(run_id, KEY, key.digest)


def recorded_key(run: Run) -> CacheKey:
    """The key that a finished run was recorded with."""
    tags = run.data.tags
    return CacheKey(tags[STEP], *(json.loads(tags[f"crystal_eyes.{part}"]) for part in PARTS))


def changed_outputs(run: Run) -> list[str]:
    """The outputs of a run that are missing or no longer have the digests they were logged with.

    Raises UnreachableError if the store does not say.
    """
    changed = []
    for name, digest in json.loads(run.data.tags[OUTPUTS]).items():
        try:
            if digest_path(local_path(f"runs:/{run.info.run_id}/{name}")) != digest:
                changed.append(name)
        except UnreachableError:
            raise
        except UserError:
            changed.append(name)
    return changed


def find(client: MlflowClient, experiment: str, key: CacheKey) -> tuple[Run | None, list[str]]:
    """The newest finished run with an equal key and intact outputs; else the reasons why the newest one can't be used."""
    wrong: list[str] = []
    for run in _finished(client, experiment, f"tags.`{KEY}` = '{key.digest}'", limit=10):
        changed = changed_outputs(run)
        if not changed:
            return run, []
        wrong = wrong or [f"output {name} of run {run.info.run_id} was changed or deleted" for name in changed]
    return None, wrong


def nearest(client: MlflowClient, experiment: str, key: CacheKey) -> tuple[Run | None, list[str]]:
    """The finished run of the same step whose key differs least, the newest of equals, and the differences in words."""
    best: tuple[Run | None, list[str]] = (None, [])
    for run in _finished(client, experiment, f"tags.`{STEP}` = '{key.entry_point}'", limit=RECENT):
        found = differences(recorded_key(run), key)
        if best[0] is None or len(found) < len(best[1]):
            best = run, found
    return best


def differences(old: CacheKey, new: CacheKey) -> list[str]:
    """What differs between two keys, one line each."""
    lines = []
    for part, noun in zip(PARTS, ("parameter", "input", "file", "library")):
        before, after = getattr(old, part), getattr(new, part)
        for name in sorted(before.keys() | after.keys()):
            a, b = before.get(name), after.get(name)
            if a == b:
                continue
            if part in ("inputs", "sources"):
                what = "was added" if a is None else "was removed" if b is None else "has changed"
                lines.append(f"{noun} {name} {what}")
            else:
                lines.append(f"{noun} {name}: {a if a is not None else 'absent'} -> {b if b is not None else 'absent'}")
    return lines


def _finished(client: MlflowClient, experiment: str, condition: str, limit: int) -> list[Run]:
    condition = f"{condition} and attributes.status = 'FINISHED'"
    searched = experiments_to_search(experiment)
    runs = client.search_runs(searched, condition, order_by=["attributes.end_time DESC"], max_results=limit)
    return [run for run in runs if KEY in run.data.tags]
