"""What one machine pays for clusters: python benchmarks/fleet/alone.py OTHER DATASET [rounds]

OTHER: a checkout of an earlier commit. DATASET: labeled heads. Both read the dataset, write its catalogue and embed it with the
released encoder, in turn, in processes of their own. Prints seconds of CPU and of the clock, and the ratios of medians.
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path

from tests.runs import ROOT

WORK = """
import json, sys, tempfile, time
from pathlib import Path
from crystal_eyes.data.catalogue import Catalogue, write
from crystal_eyes.data.cropping import head_bytes
from crystal_eyes.data.layouts import read_dataset
from crystal_eyes.data.options import SelectionOptions, SplitOptions
from crystal_eyes.data.selection import select
from crystal_eyes.data.splits import assign_splits
from crystal_eyes.encoder.embeddings import embed_catalogue
from crystal_eyes.encoder.runtime import OnnxEncoder

def timed(work):
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    return time.process_time() - cpu, time.perf_counter() - clock

def prepare():
    table = assign_splits(select(read_dataset(sys.argv[1], 0.0)[0], SelectionOptions(), 0)[0], SplitOptions(), 0)
    write(folder, table, (head_bytes(path, box) for path, box in zip(table["path"], table["box"])))

folder = Path(tempfile.mkdtemp())
encoder = OnnxEncoder(sys.argv[2], threads=1)
print(json.dumps({"prepare": timed(prepare), "embed": timed(lambda: embed_catalogue(encoder, Catalogue(folder), folder, 64))}))
"""


def measure(checkout: Path, dataset: str) -> dict[str, list[float]]:
    """(CPU seconds, seconds) of each part of the work."""
    command = [sys.executable, "-c", WORK, dataset, str(ROOT / "models/recognizer/encoder.onnx")]
    done = subprocess.run(command, cwd=checkout, env={"PYTHONPATH": str(checkout)}, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main(other: str, dataset: str, rounds: str = "5") -> None:
    checkouts = {"other": Path(other).resolve(), "this": ROOT}
    found: dict[str, list[dict[str, list[float]]]] = {name: [] for name in checkouts}
    for number in range(int(rounds)):
        for name in sorted(checkouts, reverse=bool(number % 2)):
            found[name].append(measure(checkouts[name], str(Path(dataset).resolve())))
    for part in ("prepare", "embed"):
        for place, kind in enumerate(("CPU", "clock")):
            medians = {name: statistics.median(one[part][place] for one in found[name]) for name in checkouts}
            print(f"{part}, {kind}: other {medians['other']:.2f} s, this {medians['this']:.2f} s, "
                  f"ratio {medians['this'] / medians['other']:.3f}")  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
