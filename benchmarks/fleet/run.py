"""Heads embedded on two Ray nodes of this machine: python benchmarks/fleet/run.py WORK [heads] [--drawn N] [--rows N]

WORK: a folder; the catalogue that is made in it is used again. Draws N heads of the built-in cast once and repeats their bytes,
under other names, until there are that many heads. Three runs on Ray's own cluster, a head node without CPUs and nodes with one
CPU each: one worker; two workers; two workers of which one is killed after a third of the shards, and one node of which is
removed after two thirds. Prints heads/s (between the first shard and the last), efficiency, memory of each worker over time,
and whether the three runs wrote the same shards, each once. --rows: heads of a shard.
"""

import argparse
import contextlib
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
from ray.cluster_utils import Cluster

from crystal_eyes.data import cast
from crystal_eyes.data.catalogue import SCHEMA
from crystal_eyes.data.options import CastOptions
from crystal_eyes.data.shards import CATALOGUE, EMBEDDINGS, MANIFEST, SUFFIX, Shard, Shards, encode_pictures, write_manifest
from crystal_eyes.data.storage import Place
from crystal_eyes.fleet import cluster as own_cluster
from crystal_eyes.fleet.embed import embed
from crystal_eyes.fleet.run import ROWS, FleetRun
from crystal_eyes.images import SUFFIXES
from tests.runs import ROOT

PER_CHARACTER = 20
ENCODER = ROOT / "models/recognizer/encoder.onnx"
OBJECTS = 80 * 2**20  # bytes, of each node's object store
SECONDS = 0.5  # between looks at the workers


def catalogue(work: Path, heads: int, drawn: int, rows: int) -> Path:
    """A catalogue of shards with that many heads."""
    folder = work / f"catalogue-{heads}-{drawn}-{rows}"
    if (folder / MANIFEST).is_file():
        return folder
    source = work / f"cast-{drawn}"
    if not (source / "done").exists():
        cast.draw(source, CastOptions(max(2, drawn // PER_CHARACTER), PER_CHARACTER), 0)
        (source / "done").touch()
    pictures = [path.read_bytes() for path in sorted(source.rglob("*")) if path.suffix in SUFFIXES]
    schema = pa.schema([field for field in SCHEMA if field.name not in ("digest", "offset", "length")])
    shards, place = [], Place(folder)
    for start in range(0, heads, rows):
        numbers = range(start, min(heads, start + rows))
        table = pd.DataFrame({
            "file": [f"{number:09d}.png" for number in numbers], "character": [f"{number % 1000}" for number in numbers],
            "series": "", "set": "", "artwork": "", "monochrome": False, "width": 128, "height": 128,
            "encoder_split": "", "classifier_split": "",
        })  # fmt: skip
        some = [pictures[number % len(pictures)] for number in numbers]
        data = encode_pictures(pa.Table.from_pandas(table, schema=schema, preserve_index=False), some)
        digest = hashlib.sha256(data).hexdigest()
        shards.append(Shard(digest + SUFFIX, digest, len(data), len(some)))
        place.write(shards[-1].file, data)
    write_manifest(folder, CATALOGUE, "", shards)
    return folder


class Watch(threading.Thread):
    """Looks at the workers and the shards of a run. events: (share of the shards, what to do then)."""

    def __init__(self, folder: Path, shards: int, events: list):
        super().__init__(daemon=True)
        self.folder, self.shards, self.events = folder, shards, events
        self.done: list[tuple[float, int]] = []  # seconds, shards
        self.memory: dict[int, list[float]] = {}  # MiB by process
        self.stopped = threading.Event()

    def run(self) -> None:
        while not self.stopped.wait(SECONDS):
            self.done.append((time.monotonic(), len(list(self.folder.glob(f"*{SUFFIX}")))))
            for one in workers():
                with contextlib.suppress(psutil.NoSuchProcess):
                    self.memory.setdefault(one.pid, []).append(one.memory_info().rss / 2**20)
            if self.events and self.done[-1][1] >= self.events[0][0] * self.shards:
                self.events.pop(0)[1]()

    def rate(self) -> float:
        """Shards per second, between the first and the last."""
        start = next((at, count) for at, count in self.done if count)
        end = next((at, count) for at, count in self.done if count == self.done[-1][1])
        return (end[1] - start[1]) / max(end[0] - start[0], SECONDS)


def workers() -> Iterator[psutil.Process]:
    for one in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if one.name().startswith("ray::Worker"):
                yield one


def kill_worker() -> None:
    one = next(workers())
    print(f"  killed worker {one.pid}", flush=True)
    one.kill()


def run(source: Path, work: Path, cluster: Cluster, node: Any, disturbed: bool) -> tuple[Shards, float]:
    """The shards that the workers of the cluster write, and heads/s. node: the one that is removed, if the run is disturbed."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    expected = Shards(source, CATALOGUE)

    def remove_node() -> None:
        print("  removed a node", flush=True)
        cluster.remove_node(node)

    events = [(1 / 3, kill_worker), (2 / 3, remove_node)] if disturbed else []
    watch = Watch(work / "embeddings", len(expected.shards), events)
    watch.start()
    try:
        with FleetRun(cluster.address, "", work, "embeddings") as fleet:
            folder, skipped = embed(fleet, ENCODER, source, 64)
    finally:
        time.sleep(2 * SECONDS)
        watch.stopped.set()
        watch.join()
    found = Shards(folder, EMBEDDINGS)
    rate = watch.rate() * expected.shards[0].rows
    print(f"{work.name}: {rate:.1f} heads/s, {len(found)} heads, {len(skipped)} skipped", flush=True)
    for pid, seen in watch.memory.items():
        parts = [np.median(part) for part in np.array_split(np.array(seen[len(seen) // 10 :]), 4) if len(part)]
        print(f"  worker {pid}: MiB in each quarter of its time {[round(float(one)) for one in parts]}, most {max(seen):.0f}")
    return found, rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("heads", type=int, nargs="?", default=200_000)
    parser.add_argument("--drawn", type=int, default=2000)
    parser.add_argument("--rows", type=int, default=ROWS)
    given = parser.parse_args()
    work = given.work.resolve()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    own_cluster.ray_constants.ENABLE_RAY_CLUSTER = False  # on loopback
    source = catalogue(work, given.heads, given.drawn, given.rows)
    node = {"num_cpus": 1, "object_store_memory": OBJECTS}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "num_cpus": 0, "include_dashboard": False})
    first = cluster.add_node(**node)
    one, slow = run(source, work / "one worker", cluster, first, False)
    second = cluster.add_node(**node)
    two, fast = run(source, work / "two workers", cluster, second, False)
    disturbed, _ = run(source, work / "two workers, one killed, one node removed", cluster, second, True)
    cluster.shutdown()
    same = one.shards == two.shards == disturbed.shards
    print(f"efficiency {fast / (2 * slow):.2f}; the same shards in the same order: {same}")
    heads = [len(found) for found in (one, two, disturbed)]  # Shards refuses files that its manifest lacks
    print(
        f"heads {heads} of {given.heads}; {len({s.file for s in disturbed.shards})} different shards of {len(disturbed.shards)}"
    )


if __name__ == "__main__":
    main()
