"""A folder indexed by this machine and by Ray nodes of one CPU each: python benchmarks/fleet/index.py PICTURES WORK

WORK: a new folder for the collections. Three runs: this process; one node; two nodes. Prints pictures/s (with the start of the
workers), and whether the three collections hold the same heads in the same order, with the same embeddings.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ray.cluster_utils import Cluster

from crystal_eyes.collection import Collection
from crystal_eyes.fleet import cluster as own_cluster
from crystal_eyes.recognizer import Recognizer
from crystal_eyes.recognizer.places import RELEASED

OBJECTS = 80 * 2**20  # bytes, of each node's object store
STEP = 0.005  # of an embedding's component in a collection, which has 8 bits


def index(pictures: Path, folder: Path, recognizer: Recognizer, cluster: str | None) -> tuple[list, np.ndarray]:
    """The heads that a collection then has, in their order, and their embeddings."""
    start = time.monotonic()
    with Collection.open(folder, recognizer, create=True) as collection:
        report = collection.add([pictures], cluster=cluster)
        seconds = time.monotonic() - start
        batches = list(collection.batches())
    rate = report.added / seconds
    print(f"{folder.name}: {report.added} pictures, {report.heads} heads, {seconds:.1f} s, {rate:.1f} pictures/s", flush=True)
    heads = [(place, tuple(box)) for one in batches for place, box in zip(one.places, one.boxes.round(2).tolist())]
    return heads, np.concatenate([one.embeddings for one in batches])


def main() -> None:
    pictures, work = (Path(one).resolve() for one in sys.argv[1:3])
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    own_cluster.ray_constants.ENABLE_RAY_CLUSTER = False  # on loopback
    recognizer = Recognizer.load(RELEASED)
    found = [index(pictures, work / "this process", recognizer, None)]
    node = {"num_cpus": 1, "object_store_memory": OBJECTS}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "num_cpus": 0, "include_dashboard": False})
    for name in ("one node", "two nodes"):
        cluster.add_node(**node)
        found.append(index(pictures, work / name, recognizer, cluster.address))
    cluster.shutdown()
    (heads, embeddings), *others = found
    print(f"the same heads in the same order: {[heads == other for other, _ in others]}; embeddings differ by at most "
          f"{[round(float(np.abs(embeddings - other).max()), 4) for _, other in others]}, a step is {STEP}")  # fmt: skip


if __name__ == "__main__":
    main()
