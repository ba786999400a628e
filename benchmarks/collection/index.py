"""Indexing speed beside detector and encoder alone: python benchmarks/collection/index.py PICTURES [rounds]

PICTURES: a folder of pictures, without archives and videos. Alone: the decoded pictures through Recognizer.embed_many. Both are
measured in turn, in CPU time and wall-clock time, so that other processes slow down both alike.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from crystal_eyes.collection import Collection
from crystal_eyes.picture_files import pictures_in
from crystal_eyes.recognizer import Recognizer
from crystal_eyes.recognizer.pictures import pixels


def main(folder: str, rounds: str = "3") -> None:
    recognizer = Recognizer.load("released")
    decoded = [pixels(path) for path in pictures_in(Path(folder))]
    ratios, in_cpu = [], []
    for number in range(int(rounds)):
        start, cpu = time.monotonic(), time.process_time()
        heads = sum(len(found.heads) for found in recognizer.embed_many(decoded) if not isinstance(found, Exception))
        alone, alone_cpu = time.monotonic() - start, time.process_time() - cpu
        with tempfile.TemporaryDirectory() as into, Collection.open(Path(into, "new"), recognizer, create=True) as collection:
            start, cpu = time.monotonic(), time.process_time()
            report = collection.add([folder])
            whole, whole_cpu = time.monotonic() - start, time.process_time() - cpu
        assert report.heads == heads
        ratios.append(alone / whole)
        in_cpu.append(alone_cpu / whole_cpu)
        print(f"round {number + 1}: {len(decoded)} pictures, {heads} heads; alone {alone:.1f} s ({alone_cpu:.1f} s CPU), "
              f"index {whole:.1f} s ({whole_cpu:.1f} s CPU)", flush=True)  # fmt: skip
    print(f"speed of indexing: {np.median(ratios):.0%} of detector and encoder alone, {np.median(in_cpu):.0%} in CPU time")


if __name__ == "__main__":
    main(*sys.argv[1:])
