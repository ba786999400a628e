"""Groups without labels: python benchmarks/collection/groups.py CATALOGUE EMBEDDINGS [--part test] [--among 400]

Groups the heads of characters that no encoder was trained on (encoder_split of the catalogue: `validation`, on which the
thresholds were chosen, or `test`), alone and among the heads of `--among` other characters, and compares the groups with the
characters: adjusted Rand index, B-cubed precision, recall and F1 of the heads of the part; a head in no group is a group of its
own. Beside it average linkage at its best threshold on the validation characters, and HDBSCAN at its best setting on them
(n x n memory). EMBEDDINGS: npy, float32 [rows of the catalogue, d], unit length.

--scale N, without CATALOGUE and EMBEDDINGS: only time and memory of grouping N heads, drawn like the reference heads of the
released recognizer.
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_rand_score

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.collection.heads import Population
from benchmarks.collection.memory import memory
from crystal_eyes.collection.grouping import group
from crystal_eyes.data.catalogue import Catalogue
from crystal_eyes.recognizer.places import released_folder

Cluster = Callable[[np.ndarray], np.ndarray]
THRESHOLDS = np.arange(0.2, 0.81, 0.03)  # cosines for average linkage
SETTINGS = [(2, 1), (3, 1), (5, 1)]  # of HDBSCAN


def alone(labels: np.ndarray) -> np.ndarray:
    """The labels, with a group of its own for each head in none."""
    out, none = labels.copy(), labels < 0
    out[none] = labels.max(initial=-1) + 1 + np.arange(none.sum())
    return out


def measured(truth: np.ndarray, labels: np.ndarray, count: int) -> list[float]:
    """Adjusted Rand index, B-cubed precision, recall, F1 of the first `count` heads, in groups that may hold others too."""
    table = pd.DataFrame({"truth": truth, "group": alone(labels)})
    both = table.groupby(["truth", "group"])["group"].transform("size").to_numpy()
    precision = (both / table.groupby("group")["group"].transform("size").to_numpy())[:count].mean()
    recall = (both / table.groupby("truth")["truth"].transform("size").to_numpy())[:count].mean()
    rand = adjusted_rand_score(truth[:count], table["group"][:count])
    return [rand, precision, recall, 2 * precision * recall / (precision + recall)]


def average(threshold: float) -> Cluster:
    return lambda embeddings: fcluster(linked(len(embeddings), embeddings.tobytes()), 1 - threshold, "distance") - 1


@cache
def linked(count: int, embeddings: bytes) -> np.ndarray:
    """The tree of average linkage, for all thresholds."""
    return linkage(pdist(np.frombuffer(embeddings, np.float32).reshape(count, -1), "cosine"), "average")


def hdbscan(smallest: int, samples: int) -> Cluster:
    made = HDBSCAN(min_cluster_size=smallest, min_samples=samples, copy=True)
    return lambda embeddings: made.fit_predict(embeddings)


def scale(heads: int) -> None:
    bundle = released_folder()
    assert bundle
    embeddings = Population(bundle, heads).draw()
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak
    before, start, cpu = memory("VmRSS"), time.perf_counter(), time.process_time()
    labels = group(embeddings)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(f"{heads} heads: {labels.max() + 1} groups in {seconds:.0f} s ({cpu:.0f} s of CPU time), at most "
          f"{memory('VmHWM') - before:.0f} MB more than the embeddings")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalogue", type=Path, nargs="?")
    parser.add_argument("embeddings", type=Path, nargs="?")
    parser.add_argument("--part", default="test", choices=("validation", "test"))
    parser.add_argument("--among", type=int, default=400)
    parser.add_argument("--scale", type=int, default=0)
    given = parser.parse_args()
    if given.scale:
        return scale(given.scale)
    if not given.embeddings:
        parser.error("give CATALOGUE and EMBEDDINGS, or --scale N")
    table, embeddings = Catalogue(given.catalogue).table(), np.load(given.embeddings)
    split, names = table["encoder_split"].to_numpy(str), table["character"].to_numpy(str)
    others = np.random.default_rng(0).permutation(np.unique(names[split == "train"]))
    halves = {"validation": others[: given.among], "test": others[given.among : 2 * given.among]}  # not the same ones

    def heads(part: str, among: bool) -> tuple[np.ndarray, np.ndarray, int]:
        own = np.flatnonzero(split == part)
        rest = np.flatnonzero((split == "train") & np.isin(names, halves[part])) if among else own[:0]
        rows = np.concatenate([own, rest])
        return embeddings[rows], pd.factorize(names[rows])[0], len(own)

    def best(settings: dict[str, Cluster], is_slow: bool) -> tuple[str, Cluster]:
        """The one with the largest F1 on the validation characters, alone and, unless that takes minutes, among others too."""

        def score(cluster: Cluster) -> float:
            sets = [heads("validation", among) for among in ((False,) if is_slow else (False, True))]
            return sum(measured(truth, cluster(found), count)[3] for found, truth, count in sets)

        return max(settings.items(), key=lambda item: score(item[1]))

    compared = {"Crystal Eyes": group}
    for kind, settings in (
        ("average linkage", {f"{value:.2f}": average(value) for value in THRESHOLDS}),
        ("HDBSCAN", {f"{setting}": hdbscan(*setting) for setting in SETTINGS}),
    ):
        name, cluster = best(settings, kind == "HDBSCAN")
        compared[f"{kind} {name}"] = cluster
    for among in (False, True):
        found, truth, count = heads(given.part, among)
        print(f"{count} heads of {given.part} characters" + (f" among {len(found) - count} heads of others" if among else ""))
        for name, cluster in compared.items():
            rand, precision, recall, f1 = measured(truth, cluster(found), count)
            print(f"  {name:26} adjusted Rand {rand:.3f}, B-cubed precision {precision:.3f}, recall {recall:.3f}, F1 {f1:.3f}",
                  flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
