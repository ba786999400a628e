"""Whether the shortlist holds the best characters: python benchmarks/recognizer/shortlist.py [characters ...]

A gallery finds the characters with the nearest means by cosine, and scores the first COMPARED of them by expected points. Here
every character is scored, so that the five best by expected points are known, and counted how often all five are among the first
256, 512, ... by cosine. Characters are drawn like those of the released bundle (benchmarks/collection/heads.py), with three
heads each, and with 1 to 5.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.collection.heads import Population
from crystal_eyes.progress import track
from crystal_eyes.recognizer.bundle import read_bundle
from crystal_eyes.recognizer.enrolled_logits import EnrolledLogits, read_enrolled_logits
from crystal_eyes.recognizer.places import released_folder
from crystal_eyes.recognizer.recognizer import CANDIDATES
from crystal_eyes.vectors import in_8_bits, nearest, sketches

QUERIES, BLOCK, MOST = 2000, 5000, 5  # heads; characters that are scored together; heads of a character
LENGTHS = (256, 512, 1024, 2048, 4096)


def measure(population: Population, logits: EnrolledLogits, count: int, heads: tuple[int, ...]) -> None:
    """heads: of a character, as many of them in turn."""
    rng, dimensions = np.random.default_rng(1), 512
    asked, queries = np.sort(rng.choice(count, min(QUERIES, count), replace=False)), []
    stored, best = np.empty((count, dimensions), np.int8), np.full((len(asked), 0), -np.inf, np.float32)
    rows = np.zeros((len(asked), 0), int)
    centers = [population.characters(min(BLOCK, count - start)) for start in range(0, count, BLOCK)]
    for number, block in enumerate(centers):
        mine = asked[(asked >= number * BLOCK) & (asked < (number + 1) * BLOCK)] - number * BLOCK
        if len(mine):
            queries.append(population.heads_of(block[mine]))
    shown = np.concatenate(queries)
    for number, block in enumerate(track(centers, len(centers), f"score {count:,} characters", "blocks")):
        start = number * BLOCK
        counts = np.array(heads)[(start + np.arange(len(block))) % len(heads)]
        drawn = (
            population.heads_of(np.repeat(block, MOST, axis=0))
            .astype(np.float16)
            .astype(np.float32)
            .reshape(-1, MOST, dimensions)
        )
        means = np.stack([one[:many].mean(axis=0) for one, many in zip(drawn, counts)])
        stored[start : start + len(block)] = in_8_bits(means / np.linalg.norm(means, axis=1, keepdims=True))
        layer = logits.layer(means, counts)
        part = np.concatenate([best, shown @ layer.weight.T + layer.bias], axis=1)
        rows = np.concatenate([rows, np.broadcast_to(start + np.arange(len(block)), (len(shown), len(block)))], axis=1)
        keep = np.argpartition(-part, CANDIDATES, axis=1)[:, :CANDIDATES]
        best, rows = np.take_along_axis(part, keep, 1), np.take_along_axis(rows, keep, 1)
    order = np.argsort(-best, axis=1)
    rows = np.take_along_axis(rows, order, 1)
    signs, pool = sketches(stored), ThreadPoolExecutor(len(os.sched_getaffinity(0)))
    places = np.full(rows.shape, count)
    for at, query in enumerate(track(shown, len(shown), "search", "heads")):
        found, _ = nearest(stored, signs, query, np.zeros(0, int), pool)
        place = np.full(count, count)
        place[found] = np.arange(len(found))
        places[at] = place[rows[at]]
    print(f"{count:,} characters of {heads} heads, {len(shown):,} heads of them; right by expected points: "
          f"{np.mean(rows[:, 0] == asked):.4f}", flush=True)  # fmt: skip
    for length in LENGTHS:
        inside = places < length
        print(f"  first {length:5} by cosine: the best is among them {inside[:, 0].mean():.4%}, all five {inside.all(axis=1).mean():.4%}, "
              f"of the single ones {inside.mean():.4%}", flush=True)  # fmt: skip


if __name__ == "__main__":
    folder = released_folder()
    assert folder
    bundle = read_bundle(folder)
    for characters in sys.argv[1:] or ("10000", "100000"):
        for each in ((3,), (1, 2, 3, 4, 5)):
            measure(Population(folder, 1000), read_enrolled_logits(bundle), int(characters), each)
