"""Progress of long work: a bar on a terminal, otherwise a plain line from time to time."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
SECONDS_BETWEEN_LINES = 10


def track(items: Iterable[Item], total: int, label: str, unit: str = "it") -> Iterator[Item]:
    """Yield the items, showing count, rate and time left on stderr. total: how many there will be."""
    if os.environ.get("RANK", "0") != "0":  # torchrun's: one of the processes of a training shows its progress
        yield from items
        return
    if sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=label, unit=unit, unit_scale=total > 10_000, dynamic_ncols=True)
        return
    start = last = time.monotonic()
    done = 0
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            rate = done / (now - start)
            left = (total - done) / rate
            print(f"{label}: {done}/{total} {unit}, {rate:.1f}/s, {left:.0f} s left", file=sys.stderr, flush=True)
            last = now
    seconds = time.monotonic() - start
    print(f"{label}: {done}/{total} {unit} in {seconds:.1f} s", file=sys.stderr, flush=True)
