"""CPU time that main spends on hashing 70,000 images, with and without cached digests.

Figures: docs/results.md.

python benchmarks/hashing/run.py [images] [bytes of an image]
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CLASSES = 3400  # characters, one folder each
# processes of main with ten classifiers that hash the catalogue: main itself, train twice, distill, export, embed, classify ten
# times, bundle, evaluate
CATALOGUE_READERS = 18
DATASET_READERS = 2  # main and prepare
CHILD = """
import sys, time
from pathlib import Path
from pipeline.cache.digests import digest_dataset, digest_path
work = {"dataset": digest_dataset, "catalogue": digest_path}[sys.argv[1]]
start = time.process_time()
digests = {work(Path(sys.argv[2])) for _ in range(2)}  # run_step looks before and after
print(len(digests), time.process_time() - start)
"""


def draw(folder: Path, images: int, size: int) -> None:
    """A dataset with one folder per character, and a catalogue of the same bytes."""
    block = os.urandom(1 << 20)
    (folder / "catalogue").mkdir()
    with open(folder / "catalogue" / "pictures.bin", "wb") as file:
        for number in range(images):
            start = number % ((1 << 20) - size)
            file.write(block[start : start + size])
            home = folder / "dataset" / f"character {number % CLASSES}"
            home.mkdir(parents=True, exist_ok=True)
            (home / f"{number}.png").write_bytes(block[start : start + size])


def seconds(folder: Path, cache: str) -> dict[str, list[float]]:
    """CPU seconds of hashing in each process of main, by what is hashed."""
    taken: dict[str, list[float]] = {"dataset": [], "catalogue": []}
    for what, readers in (("dataset", DATASET_READERS), ("catalogue", CATALOGUE_READERS)):
        for _ in range(readers):
            done = subprocess.run(
                [sys.executable, "-c", CHILD, what, str(folder / what)],
                env={**os.environ, "CRYSTAL_EYES_CACHE": cache}, capture_output=True, text=True, check=True,
            )  # fmt: skip
            count, time_taken = done.stdout.split()
            assert count == "1"
            taken[what].append(float(time_taken))
    return taken


def main(images: int, size: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        draw(folder, images, size)
        time.sleep(3)  # digests of files written in the last two seconds are not cached
        print(f"{images} images, {images * size / 1e6:.0f} MB; load {os.getloadavg()[0]:.1f}")
        print("| digests | dataset, 2 processes | catalogue, 18 processes | total |\n|---|---|---|---|")
        # a cache folder that can't be created: nothing is cached
        for name, cache in (("not cached", "/dev/null/none"), ("cached, first run", str(folder / "cache")),
                            ("cached, next run", str(folder / "cache"))):  # fmt: skip
            taken = {what: sum(values) for what, values in seconds(folder, cache).items()}
            figures = [*taken.values(), sum(taken.values())]
            print("|", " | ".join([name, *(f"{figure:.1f} s" for figure in figures)]), "|", flush=True)


if __name__ == "__main__":
    main(*[int(text) for text in sys.argv[1:]] or (70_000, 14_000))
