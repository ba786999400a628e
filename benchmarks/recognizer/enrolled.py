"""What many enrolled characters cost, and whether they are found: python benchmarks/recognizer/enrolled.py [characters ...]

Characters and heads are drawn like those of the released bundle (benchmarks/collection/heads.py), three heads a character, and
kept in a copy of it: in the gallery of many, or with --folders in a folder each, as few enrolled characters are. The answers
for 100 heads of them and 25 of strangers are compared with those of a naive naming that scores every character. CPU time is
printed beside wall-clock time, which other processes lengthen.
"""

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
from crystal_eyes.recognizer import gallery
from crystal_eyes.recognizer.bundle import CHARACTER, ENROLLED, copy_bundle, read_bundle, write_listing
from crystal_eyes.recognizer.enrollment import QUALITY, SIDE, HeadCrop, enroll
from crystal_eyes.recognizer.naming import Naming, mean_embedding
from crystal_eyes.recognizer.places import released_folder
from crystal_eyes.recognizer.recognizer import CANDIDATES, Recognizer
from crystal_eyes.recognizer.stored import NewCharacter, create_stored

EXAMPLE = next((Path(__file__).resolve().parents[2] / "crystal_eyes/web/examples").glob("1 *.webp"))
HEADS, AT_ONCE, QUERIES, STRANGERS = 3, 2000, 100, 25


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


def fill(folder: Path, population: Population, count: int, thumbnail: bytes) -> np.ndarray:
    """Enroll so many characters as enrollment writes them; returns their means, float16 [count, d]."""
    stored, means = create_stored(read_bundle(folder), 512), np.empty((count, 512), np.float16)
    start, cpu = time.monotonic(), time.process_time()
    for first in range(0, count, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, count))
        heads = population.heads_of(np.repeat(population.characters(len(numbers)), HEADS, axis=0)).reshape(-1, HEADS, 512)
        new = [NewCharacter(f"C{n}", f"S{n % 1000}", ["head.png"] * HEADS, its,
                            [thumbnail + (HEADS * n + at).to_bytes(8, "little") for at in range(HEADS)])  # pictures that differ
               for n, its in zip(numbers, heads)]  # fmt: skip
        stored.put(new)
        means[first : first + len(numbers)] = [mean_embedding(its.astype(np.float16).astype(np.float32)) for its in heads]
    size = sum(path.stat().st_size for path in stored.folder.iterdir())
    print(f"{count:,} characters: written in {time.monotonic() - start:.0f} s ({time.process_time() - cpu:.0f} s CPU), "
          f"{size / count / HEADS:.0f} bytes a head, of them {len(thumbnail)} its picture", flush=True)  # fmt: skip
    return means


def fill_folders(folder: Path, population: Population, count: int, thumbnail: bytes) -> None:
    listing, names = json.loads((folder / "bundle.json").read_text("utf-8")), []
    for number, center in enumerate(population.characters(count)):
        own = folder / ENROLLED / f"{number:016x}"
        gallery.write_thumbnails(own, population.heads_of(np.repeat(center[None], HEADS, 0)), [""] * HEADS, [thumbnail] * HEADS)
        (own / CHARACTER).write_text(json.dumps({"character": f"C{number}", "series": ""}))
        names += [f"{ENROLLED}/{own.name}/{file.name}" for file in own.iterdir()]
    write_listing(folder, listing["source"], [*listing["files"], *names])
    print(f"{count:,} characters in folders", flush=True)


def compare(naming: Naming, means: np.ndarray, queries: np.ndarray) -> None:
    """Against a naming that scores every character: candidates, and the probability of the first."""
    first, all_five, off = 0, 0, []
    for query in queries:
        named = naming(query[None], np.zeros(1, bool))
        logits = naming.evidence(query[None]).logits[0]
        to_means = np.concatenate([means[at : at + 50_000].astype(np.float32) @ query for at in range(0, len(means), 50_000)])
        every = naming.color.probabilities(np.concatenate([logits, naming.enrolled_logits(to_means[None])[0]])[None])[0]
        nobody = 1 - float(named.probabilities.sum() + named.others.sum())
        best = np.argsort(-every, kind="stable")[:CANDIDATES]
        names = [naming.characters[at][0] if at < len(logits) else f"C{at - len(logits)}" for at in best]
        mine = np.argsort(-named.probabilities[0], kind="stable")[:CANDIDATES]
        found = [naming.who(named, label).character for label in mine]
        first += found[0] == names[0]
        all_five += set(found) == set(names)
        off.append(abs(float(named.probabilities[0, mine[0]]) - (1 - nobody) * float(every[best[0]])))
    print(
        f"  of {len(queries)} heads, {first} have the same first candidate as with every character scored, {all_five} the "
        f"same {CANDIDATES}; its probability differs by {np.mean(off):.4f} on average, by {max(off):.4f} at most", flush=True
    )  # fmt: skip


def measure(count: int, in_folders: bool) -> None:
    released = released_folder()
    assert released
    population = Population(released, 1000)
    head = Recognizer.load(released, 1).find(EXAMPLE)[0].picture
    picture = gallery.thumbnail(Image.fromarray(head), SIDE, QUALITY)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "bundle"
        copy_bundle(released, folder)
        means = None
        if in_folders:
            fill_folders(folder, population, count, picture)
        else:
            means = fill(folder, population, count, picture)
        recognizer = timed("open", lambda: Recognizer.load(folder, 1))
        strange = population.heads_of(population.characters(STRANGERS))
        naming, heads = recognizer.naming, iter(np.tile(strange, (10, 1)))
        timed("name a head", lambda: naming(next(heads)[None], np.zeros(1, bool)), 20)
        out = io.BytesIO()
        Image.effect_noise((128, 128), 90).convert("RGB").save(out, "PNG")
        timed("enroll one more", lambda: enroll(folder, "One more", "", [HeadCrop("head.png", out.getvalue())]))
        if means is not None:
            near = means[np.random.default_rng(1).integers(0, count, QUERIES)].astype(np.float32)
            compare(naming, means, np.concatenate([population.heads_of(near), strange]))


if __name__ == "__main__":
    given = sys.argv[1:]
    for one in [text for text in given if text.isdecimal()] or ("10000", "100000"):
        measure(int(one), "--folders" in given)
