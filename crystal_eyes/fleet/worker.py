"""What a worker process does: checks that it can do the work at all, then task after task."""

import hashlib
import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import crystal_eyes
from crystal_eyes.data.shards import SUFFIX, Shard
from crystal_eyes.data.storage import PART, Place, StorageError, is_remote
from crystal_eyes.errors import UserError

RUN = "run.json"  # beside the records of tasks: whose they are


class Produced(NamedTuple):
    """The result of one task. data: the bytes of a shard with that many rows, None without any; notes: anything for JSON."""

    data: bytes | None
    rows: int
    notes: dict[str, Any]


@dataclass(frozen=True)
class Output:
    """Where tasks write shards; then the work of one returns Produced."""

    run: str  # equal for equal inputs and code
    target: Place  # of the shards
    records: Place  # of a file a finished task


@dataclass(frozen=True)
class Job:
    """The tasks of one run. make(**arguments): the work, a function of one task's payload, made once a worker."""

    make: Callable[..., Any]
    samples: Sequence[str]  # paths of inputs that every machine has to see
    code: str  # code_digest() of who gives the tasks
    output: Output | None = None  # None: what the work returns goes back to who gives the tasks
    gpu: bool = False  # make takes gpu=True, and the work then says in `on_gpu` whether it uses one


@dataclass(frozen=True)
class Record:
    """A finished task. shard: None where it had no rows."""

    shard: Shard | None
    notes: dict[str, Any]


class Worker:
    """One process of a cluster. A task that is done again writes the same shard under the same name."""

    def start(self, job: Job, arguments: Mapping[str, Any], gpu: bool) -> str:
        """Make the work. gpu: a GPU is reserved for this worker. Returns a line that the user should read, or nothing.

        Raises UserError where this machine can't do it.
        """
        if code_digest() != job.code:
            raise UserError(
                f"{_here()} has another version of crystal-eyes ({Path(crystal_eyes.__file__).parent}): install the same one "
                "on every machine"
            )
        if job.output:
            self._require_place(job.output)
        for sample in job.samples:
            if not is_seen(sample):
                raise UserError(
                    f"{_here()} does not see {sample}: put the pictures into a folder that all machines share, or into S3"
                )
        self.output, self.work = job.output, job.make(**arguments, **({"gpu": True} if gpu else {}))
        if gpu and not self.work.on_gpu:
            return (
                f"{_here()} has a GPU, but its onnxruntime can't use it, so it works on its CPUs: pip install onnxruntime-gpu "
                "there, in place of onnxruntime"
            )
        return ""

    def _require_place(self, output: Output) -> None:
        try:
            claim = read_run(output.records)
        except StorageError:
            if output.records.remote:
                raise
            claim = None
        if claim != output.run:
            raise UserError(f"{_here()} does not see {output.records}: give a place for shards that all machines share")

    def do(self, number: int, payload: Any) -> Any:
        """Do a task, unless its shard is there already: a Record, or what the work returns. Raises UserError where storage
        fails."""
        try:
            if self.output is None:
                return self.work(payload)
            name = f"{number:08d}.json"
            return self._known(self.output, name) or self._done(self.output, name, payload)
        except StorageError as error:
            raise StorageError(f"{_here()}: {error}") from None

    def _done(self, output: Output, name: str, payload: Any) -> Record:
        data, rows, notes = self.work(payload)
        shard = None
        if data is not None:
            digest = hashlib.sha256(data).hexdigest()
            shard = Shard(digest + SUFFIX, digest, len(data), rows)
            output.target.write(shard.file, data)
        record = {"run": output.run, "shard": vars(shard) if shard else None, "notes": notes}
        output.records.write(name, json.dumps(record).encode())
        return Record(shard, json.loads(json.dumps(notes)))

    def _known(self, output: Output, name: str) -> Record | None:
        """The record of a task that an interrupted run finished, if its shard is what it was."""
        if output.records.size(name) is None:
            return None
        try:
            found = json.loads(output.records.read(name))
            shard = Shard(**found["shard"]) if found["shard"] else None
            if found["run"] != output.run:
                return None
        except (ValueError, KeyError, TypeError):
            return None
        if shard and output.target.size(shard.file) != shard.bytes:
            return None
        if shard and hashlib.sha256(output.target.read(shard.file)).hexdigest() != shard.sha256:
            return None
        return Record(shard, found["notes"])


def is_seen(sample: str) -> bool:
    """Whether this machine has an input; what is in S3 shows when it is read."""
    part = PART.fullmatch(sample)
    path = part["shard"] if part else sample
    return is_remote(path) or os.path.exists(path)


def claim(records: Place, run: str) -> None:
    """Mark a place as a run's own. Raises UserError where it holds shards of another run."""
    other = read_run(records)
    if other not in (None, run):
        raise UserError(f"{records} is of another run (other inputs, parameters or code): give an empty place for the shards")
    if other is None:
        records.write(RUN, json.dumps({"run": run}).encode())


def read_run(records: Place) -> str | None:
    """Whose records these are; None: nobody's."""
    if records.size(RUN) is None:
        return None
    try:
        return str(json.loads(records.read(RUN))["run"])
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{records.path(RUN)} is damaged: give an empty place for the shards") from None


@cache
def code_digest() -> str:
    """sha256 of the package's Python files, hex: workers with other code would write other shards."""
    home, found = Path(crystal_eyes.__file__).parent, hashlib.sha256()
    for path in sorted(home.rglob("*.py")):
        found.update(path.relative_to(home).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def _here() -> str:
    return f"machine {socket.gethostname()}"
