"""What many enrolled characters cost, and whether they are found: python benchmarks/recognizer/enrolled.py [characters ...]

Characters and heads are drawn like those of the released bundle (benchmarks/collection/heads.py), three heads each, or with
--mixed 1 to 5, and kept in a copy of it: in the gallery of many, with --shards N in so many shards, or with --folders in a
folder each, as few enrolled characters are. The answers for 100 heads of them and 25 of strangers are compared with those of a
naive naming that scores every character. CPU time is printed beside wall-clock time, which other processes lengthen. 1,000,000
characters take 17 GB of the temporary folder (TMPDIR).
"""

import argparse
import io
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.collection.heads import Population
from crystal_eyes.progress import track
from crystal_eyes.recognizer import gallery, stored
from crystal_eyes.recognizer.bundle import CHARACTER, ENROLLED, copy_bundle, read_bundle, write_listing
from crystal_eyes.recognizer.enrollment import QUALITY, SIDE, HeadCrop, enroll
from crystal_eyes.recognizer.naming import Naming
from crystal_eyes.recognizer.places import released_folder
from crystal_eyes.recognizer.recognizer import CANDIDATES, Recognizer
from crystal_eyes.recognizer.shard import NewCharacter
from crystal_eyes.recognizer.stored import create_stored

EXAMPLE = next((Path(__file__).resolve().parents[2] / "crystal_eyes/web/examples").glob("1 *.webp"))
HEADS, MOST, AT_ONCE, QUERIES, STRANGERS = 3, 5, 2000, 100, 25


def timed(what: str, work: Callable[[], Any], times: int = 1) -> Any:
    wall, used, found = [], [], None
    for _ in range(times):
        start, cpu = time.perf_counter(), time.process_time()
        found = work()
        wall.append(1000 * (time.perf_counter() - start))
        used.append(1000 * (time.process_time() - cpu))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  {what}: {np.median(wall):,.0f} ms (CPU {np.median(used):,.0f}), peak of memory {peak:.0f} MB", flush=True)
    return found


def fill(folder: Path, population: Population, count: int, thumbnail: bytes, mixed: bool) -> np.ndarray:
    """Enroll so many characters as enrollment writes them; returns the centers of QUERIES of them, float32 [QUERIES, d]."""
    gallery, start, cpu = create_stored(read_bundle(folder), 512), time.monotonic(), time.process_time()
    asked, centers = np.random.default_rng(1).integers(0, count, QUERIES), []
    for first in track(range(0, count, AT_ONCE), -(-count // AT_ONCE), "enroll", f"x {AT_ONCE} characters"):
        numbers = range(first, min(first + AT_ONCE, count))
        drawn = population.characters(len(numbers))
        centers.append(drawn[asked[(asked >= first) & (asked < first + AT_ONCE)] - first])
        new = []
        for n, its in zip(numbers, population.heads_of(np.repeat(drawn, MOST, axis=0)).reshape(-1, MOST, 512)):
            heads = 1 + n % MOST if mixed else HEADS
            pictures = [thumbnail + (MOST * n + at).to_bytes(8, "little") for at in range(heads)]  # that differ
            new.append(NewCharacter(f"C{n}", f"S{n % 1000}", ["head.png"] * heads, its[:heads], pictures))
        gallery.put(new)
    size = sum(path.stat().st_size for shard in gallery.shards for path in shard.folder.iterdir())
    heads = sum(shard.count_heads() for shard in gallery.shards)
    print(f"{count:,} characters in {len(gallery.shards)} shards: written in {time.monotonic() - start:.0f} s "
          f"({time.process_time() - cpu:.0f} s CPU), {size / heads:.0f} bytes a head, of them {len(thumbnail)} its picture; "
          f"{size / 1e9:.1f} GB", flush=True)  # fmt: skip
    return np.concatenate(centers)


def fill_folders(folder: Path, population: Population, count: int, thumbnail: bytes) -> None:
    listing, names = json.loads((folder / "bundle.json").read_text("utf-8")), []
    for number, center in enumerate(population.characters(count)):
        own = folder / ENROLLED / f"{number:016x}"
        gallery.write_thumbnails(own, population.heads_of(np.repeat(center[None], HEADS, 0)), [""] * HEADS, [thumbnail] * HEADS)
        (own / CHARACTER).write_text(json.dumps({"character": f"C{number}", "series": ""}))
        names += [f"{ENROLLED}/{own.name}/{file.name}" for file in own.iterdir()]
    write_listing(folder, listing["source"], [*listing["files"], *names])
    print(f"{count:,} characters in folders", flush=True)


def every_logit(naming: Naming, queries: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """float32 [queries, characters]: logits of all stored characters from their heads, and their names."""
    assert naming.stored
    scaled = naming.enrolled_logits.scaled
    queries, logits, names = scaled(queries), np.empty((len(queries), len(naming.stored)), np.float32), list[str]()
    for shard in naming.stored.shards:
        rows = list(range(0, shard.state().rows, AT_ONCE))
        for start in track(rows, len(rows), "score every character", f"x {AT_ONCE}"):
            found = shard.found(np.arange(start, min(start + AT_ONCE, shard.state().rows)), 0)
            means = np.stack([scaled(one.embeddings).mean(axis=0) for one in found])
            counts = np.array([one.known.heads for one in found])
            layer = naming.enrolled_logits.layer(means, counts)
            logits[:, len(names) : len(names) + len(found)] = queries @ layer.weight.T + layer.bias
            names += [one.known.character for one in found]
    return logits, names


def compare(naming: Naming, queries: np.ndarray) -> None:
    """Against a naming that scores every character: candidates, and the probability of the first."""
    first, all_five, off = 0, 0, []
    of_stored, stored_names = every_logit(naming, queries)
    for query, its in zip(queries, of_stored):
        named = naming(query[None], np.zeros(1, bool))
        logits = naming.evidence(query[None], np.zeros(1, bool)).logits[0]
        every = naming.color.probabilities(np.concatenate([logits, its])[None])[0]
        nobody = 1 - float(named.probabilities.sum() + named.others.sum())
        best = np.argsort(-every, kind="stable")[:CANDIDATES]
        names = [naming.characters[at][0] if at < len(logits) else stored_names[at - len(logits)] for at in best]
        mine = np.argsort(-named.probabilities[0], kind="stable")[:CANDIDATES]
        found = [naming.who(named, label).character for label in mine]
        first += found[0] == names[0]
        all_five += set(found) == set(names)
        off.append(abs(float(named.probabilities[0, mine[0]]) - (1 - nobody) * float(every[best[0]])))
    print(
        f"  of {len(queries)} heads, {first} have the same first candidate as with every character scored, {all_five} the "
        f"same {CANDIDATES}; its probability differs by {np.mean(off):.4f} on average, by {max(off):.4f} at most", flush=True
    )  # fmt: skip


def measure(count: int, in_folders: bool, shards: int, mixed: bool) -> None:
    released = released_folder()
    assert released
    population = Population(released, 1000)
    head = Recognizer.load(released, 1).find(EXAMPLE)[0].picture
    picture = gallery.thumbnail(Image.fromarray(head), SIDE, QUALITY)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "bundle"
        copy_bundle(released, folder)
        centers = None
        if in_folders:
            fill_folders(folder, population, count, picture)
        else:
            stored.FULL = -(-count // shards)
            centers = fill(folder, population, count, picture, mixed)
            stored.FULL = count + 1
        recognizer = timed("open", lambda: Recognizer.load(folder, 1))
        strange = population.heads_of(population.characters(STRANGERS))
        naming, heads = recognizer.naming, iter(np.tile(strange, (10, 1)))
        timed("name a head", lambda: naming(next(heads)[None], np.zeros(1, bool)), 20)
        out = io.BytesIO()
        Image.effect_noise((128, 128), 90).convert("RGB").save(out, "PNG")
        timed("enroll one more", lambda: enroll(folder, "One more", "", [HeadCrop("head.png", out.getvalue())]))
        if centers is not None:
            compare(Naming(read_bundle(folder), 1), np.concatenate([population.heads_of(centers), strange]))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="What many enrolled characters cost, and whether they are found")
    arguments.add_argument("characters", nargs="*", type=int, default=[10_000, 100_000])
    arguments.add_argument("--shards", type=int, default=1)
    arguments.add_argument("--mixed", action="store_true")
    arguments.add_argument("--folders", action="store_true")
    given = arguments.parse_args()
    for one in given.characters:
        measure(one, given.folders, given.shards, given.mixed)
