"""Whether the best characters are searched for: python benchmarks/recognizer/shortlist.py [characters ...]

A gallery compares a head in full with a shortlist of its characters. Here every character is scored, so that the five best are
known, and counted how often all five are among the first 256 of a search by cosine, and of one by logits (expected points), as
a gallery makes it. Characters are drawn like those of the released bundle (benchmarks/collection/heads.py), with three heads
each and with 1 to 5; and at first they are its own, from all but one of their reference heads.
"""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.collection.heads import Population
from crystal_eyes.progress import track
from crystal_eyes.recognizer.bundle import Bundle, read_bundle
from crystal_eyes.recognizer.enrolled_logits import read_enrolled_logits
from crystal_eyes.recognizer.gallery import Gallery
from crystal_eyes.recognizer.places import released_folder
from crystal_eyes.recognizer.recognizer import CANDIDATES
from crystal_eyes.recognizer.stored import COMPARED, SEARCHED
from crystal_eyes.vectors import CANDIDATES as LEAST
from crystal_eyes.vectors import Part, in_8_bits, nearest, sketches

QUERIES, BLOCK = 500, 5000  # heads; characters that are scored together
Characters = tuple[np.ndarray, np.ndarray]  # a head that is asked for [d], heads that the character is enrolled from [n, d]


def real(bundle: Bundle) -> list[Characters]:
    gallery, rng = Gallery([bundle.trained]), np.random.default_rng(0)
    _, labels = np.unique(gallery.characters, return_inverse=True)
    heads = [gallery.embeddings[rng.permutation(np.flatnonzero(labels == label))] for label in range(labels.max() + 1)]
    return [(its[-1], its[:-1]) for its in heads if len(its) > 1]


def drawn(bundle: Bundle, count: int, heads: tuple[int, ...]) -> Iterator[Characters]:
    """heads: of a character, in turn."""
    population, most = Population(bundle.trained, 1000), max(heads) + 1
    for start in range(0, count, BLOCK):
        centers = population.characters(min(BLOCK, count - start))
        for number, its in enumerate(population.heads_of(np.repeat(centers, most, axis=0)).reshape(len(centers), most, -1)):
            yield its[-1], its[: heads[(start + number) % len(heads)]]


def measure(what: str, bundle: Bundle, characters: Iterator[Characters], count: int, searched: dict[str, list[int]]) -> None:
    """searched: by kind of the search, how many characters are compared by their rows."""
    logits, asked, of_heads, of_scaled, counts = read_enrolled_logits(bundle), [], [], [], []
    for query, heads in track(characters, count, what, "characters"):
        asked.append(query.astype(np.float16))
        of_heads.append(heads.mean(axis=0))
        of_scaled.append(logits.scaled(heads).mean(axis=0).astype(np.float32))
        counts.append(len(heads))
    means, points = np.empty((2, count, len(asked[0])), np.int8)
    scale, bias = np.empty((2, count), np.float32)
    for start in range(0, count, BLOCK):
        part = slice(start, start + BLOCK)
        layer = logits.layer(np.array(of_scaled[part]), np.array(counts[part]))
        means[part], points[part] = in_8_bits(np.array(of_heads[part])), in_8_bits(layer.weight)
        scale[part], bias[part] = np.linalg.norm(layer.weight, axis=1), layer.bias
    chosen = np.random.default_rng(1).permutation(count)[:QUERIES]
    queries = np.array([asked[number] for number in chosen], np.float32)
    by_kind = {"cosine": queries, "logits": logits.scaled(queries).astype(np.float32)}
    pool, none = ThreadPoolExecutor(len(os.sched_getaffinity(0))), np.zeros(0, int)
    parts = {"cosine": Part(means, sketches(means), none), "logits": Part(points, sketches(points), none, scale, bias)}
    best = np.empty((len(queries), CANDIDATES), int)
    for row, query in enumerate(by_kind["logits"]):  # all rows, exactly
        best[row] = nearest([parts["logits"]], query, pool, count)[0][:CANDIDATES]
    print(f"{what}: of {len(queries)} heads, {np.mean(best[:, 0] == chosen):.1%} are named right", flush=True)
    for kind, numbers in searched.items():
        for number in numbers:
            inside = np.array([np.isin(its, nearest([parts[kind]], query, pool, number)[0][:COMPARED])
                               for its, query in zip(best, by_kind[kind])])  # fmt: skip
            print(f"  by {kind}, {number:,} compared: the first {COMPARED} hold the best {inside[:, 0].mean():.2%}, all "
                  f"{CANDIDATES} best {inside.all(axis=1).mean():.2%}", flush=True)  # fmt: skip


if __name__ == "__main__":
    released = released_folder()
    assert released
    own = read_bundle(released)
    known = real(own)
    both = [len(known), len(known) // 10, int(len(known) * SEARCHED)]
    measure(f"{len(known):,} characters of the bundle", own, iter(known), len(known), {"cosine": both, "logits": both})
    for many in map(int, sys.argv[1:] or ("10000", "100000")):
        used = max(LEAST, int(SEARCHED * many))
        for each in ((3,), (1, 2, 3, 4, 5)):
            name = f"{many:,} drawn characters of {' to '.join(str(one) for one in sorted({each[0], each[-1]}))} heads"
            measure(name, own, drawn(own, many, each), many, {"cosine": [LEAST, used], "logits": [LEAST, used]})
