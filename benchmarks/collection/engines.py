"""LanceDB and faiss on the heads of search.py: python benchmarks/collection/engines.py [heads]

Needs `pip install lancedb`, which the project does not use; what is not installed is left out.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.collection.heads import Population, exact, recall
from crystal_eyes.recognizer.places import released_folder

QUERIES, K = 100, 10


def report(name: str, search: Callable[[np.ndarray], list[int]], queries: np.ndarray, expected: np.ndarray) -> None:
    wall, cpu, found = [], [], []
    for query in queries:
        start, used = time.perf_counter(), time.process_time()
        found.append(search(query))
        wall.append(1000 * (time.perf_counter() - start))
        cpu.append(1000 * (time.process_time() - used))
    print(f"{name}: median {np.median(wall):.0f} ms, CPU {np.median(cpu):.0f} ms, recall@{K} "
          f"{recall(np.array(found), expected):.3f}", flush=True)  # fmt: skip


def with_faiss(embeddings: np.ndarray, queries: np.ndarray, expected: np.ndarray) -> None:
    import faiss

    cells = int(len(embeddings) ** 0.5)
    index = faiss.index_factory(embeddings.shape[1], f"IVF{cells},SQ8", faiss.METRIC_INNER_PRODUCT)
    start, cpu = time.monotonic(), time.process_time()
    index.train(embeddings[: 40 * cells])
    index.add(embeddings)
    print(
        f"faiss IVF{cells},SQ8: built in {time.monotonic() - start:.0f} s ({time.process_time() - cpu:.0f} s CPU)", flush=True
    )
    for probes in (16, 64):
        index.nprobe = probes
        report(f"faiss, {probes} cells", lambda query: index.search(query[None], K)[1][0].tolist(), queries, expected)


def with_lancedb(embeddings: np.ndarray, queries: np.ndarray, expected: np.ndarray, folder: Path) -> None:
    import lancedb
    import pyarrow as pa

    count, dimensions = embeddings.shape
    values = pa.FixedSizeListArray.from_arrays(pa.array(embeddings.astype(np.float16).ravel()), dimensions)
    names = [f"/home/somebody/Pictures/folder {row // 200:05d}/picture_{row:08d}.png" for row in range(count)]
    data = pa.table({"id": pa.array(np.arange(count)), "picture": pa.array(names), "vector": values})
    start, cpu = time.monotonic(), time.process_time()
    table = lancedb.connect(folder).create_table("heads", data)
    print(f"LanceDB: written in {time.monotonic() - start:.0f} s, {size(folder) / count:.0f} bytes a head", flush=True)
    table.create_index(metric="cosine", num_partitions=int(count**0.5), num_sub_vectors=64, vector_column_name="vector")
    print(f"LanceDB IVF_PQ: built in {time.monotonic() - start:.0f} s ({time.process_time() - cpu:.0f} s CPU), "
          f"{size(folder) / count:.0f} bytes a head", flush=True)  # fmt: skip
    for probes, refine in ((20, 10), (50, 30)):

        def search(query: np.ndarray, probes: int = probes, refine: int = refine) -> list[int]:
            asked = table.search(query).metric("cosine").nprobes(probes).refine_factor(refine).limit(K)
            return asked.select(["id", "picture"]).to_arrow()["id"].to_pylist()

        report(f"LanceDB, {probes} cells, {refine} x {K} compared exactly", search, queries, expected)


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main(heads: str = "100000") -> None:
    bundle = released_folder()
    assert bundle
    population = Population(bundle, int(heads))
    embeddings = population.draw()
    queries = population.queries(QUERIES)
    expected = exact(embeddings, queries, K)
    with tempfile.TemporaryDirectory() as folder:
        for name, run in (("faiss", with_faiss), ("lancedb", lambda *data: with_lancedb(*data, Path(folder)))):
            try:
                run(embeddings, queries, expected)
            except ImportError:
                print(f"{name} is not installed")


if __name__ == "__main__":
    main(*sys.argv[1:])
