"""One step's work on a cluster: where its shards go, its tasks, and the manifest at the end."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from crystal_eyes.data.shards import Shard, write_manifest
from crystal_eyes.data.storage import Place, is_remote
from crystal_eyes.errors import UserError
from crystal_eyes.fleet.cluster import connected
from crystal_eyes.fleet.pool import Pool
from crystal_eyes.fleet.worker import Job, Output, Record, claim, code_digest
from crystal_eyes.paths import plain_path
from crystal_eyes.progress import track

ROWS = 1024  # heads of a shard, pictures of a task


class FleetRun(contextlib.ExitStack):
    """A context in which the step's process is connected to the cluster.

    address: HOST:PORT of the cluster, "" for one on this machine. shards: folder or `s3://` place that all machines see; "":
    in the output itself. workspace: folder that is the same for the same inputs and code, by its name. output: folder in it for
    the manifest. rows: heads of a shard.
    """

    def __init__(self, address: str, shards: str, workspace: Path, output: str, rows: int = ROWS):
        super().__init__()
        self.address, self.rows, self.run = address, rows, workspace.name
        self.folder = workspace / output
        self.elsewhere = shards if is_remote(shards) or not shards else str(plain_path(shards).resolve())
        self.place = Place(self.elsewhere or self.folder)
        self.records = Place(self.elsewhere).below("tasks") if self.elsewhere else Place(workspace / "tasks")

    def __enter__(self) -> "FleetRun":
        super().__enter__()
        claim(self.records, self.run)
        self.enter_context(connected(self.address))
        return self

    def tasks_of(self, rows: int) -> int:
        """The number of tasks for that many rows."""
        return -(-rows // self.rows)

    def do(
        self, phase: str, make: Callable[..., Any], arguments: dict[str, Any], count: int, payload: Callable[[int], Any],
        sample: str, label: str, target: Place | None = None, gpu: bool = False,
    ) -> list[Record]:  # fmt: skip
        """The records of all tasks of a phase, in order. See Job and Pool; target: place of the shards, if not the output's."""
        records = self.records.below(phase)
        claim(records, self.run)
        job = Job(make, [sample], code_digest(), Output(self.run, target or self.place, records), gpu)
        found = track(Pool(job, arguments, map(payload, range(count)), count).results(), count, label, "shards")
        done = dict(found)
        return [done[number] for number in range(count)]

    def finish(self, kind: str, records: Sequence[Record]) -> None:
        """Write the manifest, last: without it there is no output."""
        shards: list[Shard] = [one.shard for one in records if one.shard]
        if not shards:
            raise UserError("there is nothing to write")
        if not self.elsewhere:  # what a task wrote that was then done anew, after its shard had been damaged
            for path in set(self.folder.glob("*.parquet")) - {self.folder / one.file for one in shards}:
                path.unlink()
        write_manifest(self.folder, kind, self.elsewhere, shards)
