"""Memory while N heads are indexed: python benchmarks/collection/memory.py [heads ...]

The indexing of `crystal-eyes index`, on ZIP archives of tiny files; in place of the recognizer, heads that are drawn like the
reference heads of the released one. Prints the memory that the process has, and its peak, ten times.
"""

import sys
import tempfile
import time
import zipfile
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.collection.heads import BATCH, Population
from crystal_eyes.collection.indexing import Indexing
from crystal_eyes.collection.sources import Sources
from crystal_eyes.collection.storage import Storage
from crystal_eyes.recognizer.embedding import EmbeddedHeads
from crystal_eyes.recognizer.finding import FoundHead
from crystal_eyes.recognizer.places import released_folder

IN_AN_ARCHIVE = 50_000
WAITING = 40  # pictures that are taken before the first result is given, as the recognizer does
SHOWN = 10  # lines
HEAD = FoundHead((10.5, 20.5, 110.5, 140.5), 0.9, False, np.zeros((8, 8, 3), np.uint8))


class MadeHeads:
    """In place of a recognizer: one head a picture."""

    def __init__(self, heads: int):
        bundle = released_folder()
        assert bundle
        self._population = Population(bundle, BATCH)
        self.heads, self.given = heads, 0
        self._some = self._population.draw()

    def embed_many(self, pictures: Iterable[object]) -> Iterator[EmbeddedHeads]:
        waiting: deque[object] = deque()
        for picture in pictures:
            waiting.append(picture)
            if len(waiting) > WAITING:
                waiting.popleft()
                yield self._one()
        for _ in waiting:
            yield self._one()

    def _one(self) -> EmbeddedHeads:
        row = self.given % BATCH
        if not row:
            self._some = self._population.draw()
        self.given += 1
        if self.given % max(1, self.heads // SHOWN) == 0:
            print(f"{self.given:,} heads: {memory('VmRSS'):.0f} MB, at most {memory('VmHWM'):.0f} MB, "
                  f"{time.process_time():.0f} s CPU", flush=True)  # fmt: skip
        return EmbeddedHeads([HEAD], self._some[row : row + 1])


def memory(kind: str) -> float:
    """MB."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{kind}:")]
    return int(line.split()[1]) / 1024


def measure(heads: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "archives")
        folder.mkdir()
        for start in range(0, heads, IN_AN_ARCHIVE):
            with zipfile.ZipFile(folder / f"{start:08d}.zip", "w") as archive:
                for number in range(start, min(heads, start + IN_AN_ARCHIVE)):
                    archive.writestr(f"picture_{number:08d}.png", f"{number:08d}")
        made = MadeHeads(heads)
        storage = Storage.create(Path(temporary, "collection"), "encoder", made._some.shape[1])
        print(f"before: {memory('VmRSS'):.0f} MB", flush=True)
        report = Indexing(storage, made, Sources([folder]), print).run(show_progress=False)  # type: ignore[arg-type]
        assert report.heads == heads
        storage.close()


if __name__ == "__main__":
    for one in sys.argv[1:] or ("100000", "1000000"):
        measure(int(one))
