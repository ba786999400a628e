"""What a recognition costs: python benchmarks/recognizer/run.py BUNDLE PICTURE [pictures of the memory test]

PICTURE shows one head; it is resized to 1000 x 1000 pixels. Prints the time of each stage for one picture, the time of a folder
compared with that of its pictures one after the other, the startup time of the command, and memory over thousands of pictures.
"""

import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crystal_eyes.image_stats import is_monochrome
from crystal_eyes.recognizer import Recognizer
from crystal_eyes.recognizer.pictures import pixels

SIDE, ROUNDS, FOLDER = 1000, 60, 100


def encoded(picture: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, quality=92) if kind == "JPEG" else picture.save(out, kind)
    return out.getvalue()


def spread(milliseconds: list[float]) -> str:
    low, middle, high = np.quantile(milliseconds, [0.1, 0.5, 0.9])
    return f"{middle:6.1f} ({low:.1f} to {high:.1f})"


def stages(recognizer: Recognizer, data: bytes) -> dict[str, float]:
    """Milliseconds of each stage of one recognition."""
    times, marks = {}, [time.perf_counter()]

    def mark(name: str) -> None:
        marks.append(time.perf_counter())
        times[name] = 1000 * (marks[-1] - marks[-2])

    picture = pixels(data)
    mark("decode")
    found = recognizer.find(Image.fromarray(picture))
    mark("find heads")
    embeddings = recognizer.embed([head.picture for head in found])
    mark("embed")
    recognizer.naming(embeddings, np.array([is_monochrome(Image.fromarray(head.picture)) for head in found], bool))
    mark("name")
    return times


def resident() -> float:
    """Megabytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main(bundle: str, picture: str, many: int) -> None:
    start = time.perf_counter()
    recognizer = Recognizer.load(bundle)
    print(f"load {time.perf_counter() - start:.2f} s, {len(recognizer.naming.characters)} characters, {os.cpu_count()} cores")
    image = Image.fromarray(pixels(picture)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    kinds = {kind: encoded(image, kind) for kind in ("PNG", "JPEG", "WEBP")}
    for kind, data in kinds.items():
        for _ in range(5):
            recognizer.recognize(data)
        whole, parts = [], []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            heads = recognizer.recognize(data)
            whole.append(1000 * (time.perf_counter() - start))
            parts.append(stages(recognizer, data))
        print(f"{kind:5} {len(heads)} head, ms per picture: {spread(whole)}; of which", end=" ")
        print(", ".join(f"{name} {statistics.median(one[name] for one in parts):.1f}" for name in parts[0]))

    ratios, rates = [], []
    for _ in range(3):
        start = time.perf_counter()
        alone = [recognizer.recognize(kinds["JPEG"]) for _ in range(FOLDER)]
        middle = time.perf_counter()
        together = list(recognizer.recognize_many(kinds["JPEG"] for _ in range(FOLDER)))
        end = time.perf_counter()
        assert [len(heads) for heads in alone] == [len(heads) for heads in together]
        ratios.append((middle - start) / (end - middle))
        rates.append(FOLDER / (end - middle))
    print(f"{FOLDER} pictures: {np.median(rates):.0f}/s together, {np.median(ratios):.2f} times as fast as one after the other "
          f"({min(ratios):.2f} to {max(ratios):.2f})")  # fmt: skip

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.jpg"
        path.write_bytes(kinds["JPEG"])
        command = [sys.executable, "-m", "crystal_eyes.cli", "recognize", "--bundle", bundle, str(path)]
        times = []
        for _ in range(5):
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            times.append(1000 * (time.perf_counter() - start))
        print(f"crystal-eyes recognize of one picture, ms: {spread(times)}")

    sizes = np.random.default_rng(0).integers(200, 700, (64, 2))
    varied = [encoded(image.resize(tuple(int(v) for v in size)), "JPEG") for size in sizes]
    for number, _ in enumerate(recognizer.recognize_many(varied[i % len(varied)] for i in range(many)), 1):
        if number in (many // 20, many // 2, many):
            print(f"memory after {number} pictures of {len(varied)} sizes: {resident():.0f} MB")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 10_000)
