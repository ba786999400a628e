"""kill -9 at random moments of an indexing run: python benchmarks/collection/kills.py PICTURES [kills] [seed]

PICTURES: a folder. After each kill the collection must open and its database be intact; run to its end, it must hold what an
undisturbed run finds.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from crystal_eyes.collection import Collection
from crystal_eyes.collection.storage import DATABASE
from tests.runs import ROOT
from tests.unit.collection.conftest import Contents

# transactions of a few pictures each: more moments at which one is being written
RUN = "import sys; from crystal_eyes import cli; from crystal_eyes.collection import results; results.MAX_UNSAVED = 3; " \
    "sys.exit(cli.main(sys.argv[1:]))"  # fmt: skip


def start(folder: str, into: Path) -> subprocess.Popen:
    command = [sys.executable, "-c", RUN, "index", folder, "--into", str(into), "--bundle", "released"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, **quiet)


def contents(folder: Path) -> Contents:
    """Raises UserError if it can't be read."""
    with Collection.open(folder) as collection:
        assert collection.storage.query("PRAGMA integrity_check") == [("ok",)]
        return Contents(collection)


def main(folder: str, kills: str = "20", seed: str = "0") -> None:
    rng = random.Random(int(seed))
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        began = time.monotonic()
        assert start(folder, work / "whole").wait() == 0
        length = time.monotonic() - began
        expected = contents(work / "whole")
        done = rounds = differ = 0
        while done < int(kills):
            into = work / f"round{rounds}"
            for _ in range(rng.randint(2, 5)):
                process = start(folder, into)
                while not (into / DATABASE).exists() and process.poll() is None:
                    time.sleep(0.005)
                time.sleep(rng.uniform(0, length / 4))
                process.send_signal(signal.SIGKILL)
                done += process.wait() == -signal.SIGKILL
                contents(into)
            assert start(folder, into).wait() == 0
            rounds, differ = rounds + 1, differ + (contents(into) != expected)
            print(
                f"{done} kills in {rounds} runs, {differ} of them with other contents ({len(expected.heads)} heads)", flush=True
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
