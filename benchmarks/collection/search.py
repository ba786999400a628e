"""Size, latency and recall of a collection of N heads: python benchmarks/collection/search.py [heads ...]

Heads are drawn like the reference heads of the released recognizer (heads.py). Recall is measured against exact search over the
float32 embeddings; a fifth of the queries are strangers, whose neighbors are all about equally far. CPU time is printed beside
wall-clock time, which other processes lengthen.
"""

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.collection.heads import Population, exact, recall
from crystal_eyes.collection.changes import Change, NewHead, forget_below, write
from crystal_eyes.collection.searching import Searcher
from crystal_eyes.collection.sources import SourceFile
from crystal_eyes.collection.storage import Storage
from crystal_eyes.recognizer.places import released_folder

QUERIES, K = 250, 10
HEADS_A_PICTURE = 1.3
AT_ONCE = 2000  # pictures in a transaction
IN_A_FOLDER = 200


def fill(storage: Storage, embeddings: np.ndarray) -> None:
    """Add the heads as an indexing run does."""
    rng, start, number = np.random.default_rng(0), 0, 0
    changes: list[Change] = []
    while start < len(embeddings):
        count = 2 if rng.random() < HEADS_A_PICTURE - 1 else 1
        some = embeddings[start : start + count]
        folder = Path(f"/home/somebody/Pictures/drawings/folder {number // IN_A_FOLDER:05d}")
        file, digest = SourceFile(folder / f"picture_{number:08d}.png", number, number), rng.bytes(16)
        heads = [NewHead((10.5, 20.5, 110.5, 140.5), 0.9, False, False)] * len(some)
        changes.append(Change(file, digest, True, True, picture_digest=digest, heads=heads, embeddings=some))
        start, number = start + count, number + 1
        if len(changes) == AT_ONCE or start >= len(embeddings):
            write(storage, changes)
            changes.clear()


def measure(heads: int) -> None:
    bundle = released_folder()
    assert bundle
    population = Population(bundle, heads)
    embeddings = population.draw()
    queries = population.queries(QUERIES)
    expected = exact(embeddings, queries, K)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "collection"
        storage = Storage.create(folder, "encoder", embeddings.shape[1])
        before, start, cpu = peak(), time.monotonic(), time.process_time()
        fill(storage, embeddings)
        print(f"{heads:,} heads: written in {time.monotonic() - start:.0f} s ({time.process_time() - cpu:.0f} s CPU), "
              f"{size(folder) / heads:.0f} bytes a head, memory + {peak() - before:.0f} MB", flush=True)  # fmt: skip
        searcher = Searcher(storage, len(os.sched_getaffinity(0)))
        wall, used, found = [], [], []
        for query in queries:
            start, cpu = time.perf_counter(), time.process_time()
            heads_found, _ = searcher.nearest(query, 20)
            wall.append(1000 * (time.perf_counter() - start))
            used.append(1000 * (time.process_time() - cpu))
            found.append([head.row for head in heads_found[:K]])
        known, rows = QUERIES - QUERIES // 5, np.array(found)
        print(f"search: median {np.median(wall):.0f} ms, 95 % {np.quantile(wall, 0.95):.0f} ms, "
              f"CPU median {np.median(used):.0f} ms; recall@10 {recall(rows, expected):.3f} (of known characters "
              f"{recall(rows[:known], expected[:known]):.3f}, strangers "
              f"{recall(rows[known:], expected[known:]):.3f})", flush=True)  # fmt: skip
        start = time.monotonic()
        gone = [Path(f"/home/somebody/Pictures/drawings/folder {number:05d}") for number in range(5)]
        print(f"forgot {forget_below(storage, gone)} pictures in {time.monotonic() - start:.1f} s", flush=True)
        storage.close()


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def peak() -> float:
    """MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    for one in sys.argv[1:] or ("100000", "1000000"):
        measure(int(one))
