"""What damaged pictures and kill -9 do: python benchmarks/robustness/run.py BUNDLE [--pictures N] [--seed S] [--keep FOLDER]
[--kills K] [--mains R] [--disks] [--minutes M]

N pictures (default 2,000) of all formats, most of them damaged, go through Recognizer.recognize and through the page. Prints
how many were answered, refused in one line, and ended otherwise (with a traceback on stderr), how many took more than 2 s, and
the memory of the process; --keep writes the pictures that ended otherwise, took long, or ended differently in the two.

--kills K: `enroll` into a copy of BUNDLE is killed at K random moments, `main` on a few heads at K and `train` at K / 2 others,
and all are run again. --mains R: two mains at once in one store, R times. --disks: each step, and the registration of a bundle,
on a disk that is full before they end, then with room (takes root). At most M minutes (default 60) each. The results must be
those of an undisturbed main, with nothing left unfinished.
"""

import argparse
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from starlette.testclient import TestClient

from benchmarks.robustness.disks import fill_disks, two_mains
from benchmarks.robustness.kills import kill_enrollments, kill_mains, kill_trainings
from benchmarks.robustness.mains import Undisturbed
from benchmarks.robustness.mutations import mutated
from crystal_eyes.images import PictureError
from crystal_eyes.recognizer import Recognizer
from crystal_eyes.web.app import create_app
from crystal_eyes.web.live import LiveRecognizer
from crystal_eyes.web.settings import Settings
from crystal_eyes.web.uploads import Uploads

SLOW = 2.0  # seconds


def resident() -> float:
    """Megabytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def recognized(recognizer: Recognizer, data: bytes) -> str:
    try:
        recognizer.recognize(data)
        return "answer"
    except PictureError as error:
        return "error" if "\n" not in str(error) else "error of several lines"
    except Exception:
        traceback.print_exc()
        return "traceback"


def shown(client: TestClient, data: bytes) -> str:
    response = client.post("/recognize", content=data)
    if response.status_code == 200 and "heads" in response.json():
        return "answer"
    if response.status_code == 422 and "\n" not in response.json()["error"]:
        return "error"
    print(response.status_code, response.text[:300], file=sys.stderr)
    return "traceback" if response.status_code == 500 else f"status {response.status_code}"


def damage(bundle: str, pictures: int, seed: int, keep: Path | None) -> None:
    recognizer = Recognizer.load(bundle, threads=1)
    app = create_app(LiveRecognizer(bundle), settings := Settings(), Uploads(settings), ["testserver"])
    client, counts, worst = TestClient(app, raise_server_exceptions=False), Counter[tuple[str, str]](), [(0.0, "")] * 2
    memory: list[float] = []
    for number, (name, data) in enumerate(mutated(pictures, seed)):
        ends, slow = [], False
        for place, (way, end) in enumerate(
            [("recognize", lambda d: recognized(recognizer, d)), ("page", lambda d: shown(client, d))]
        ):
            start = time.process_time()
            ends.append(end(data))
            seconds = time.process_time() - start
            worst[place] = max(worst[place], (seconds, name))
            counts[way, ends[-1]] += 1
            if seconds > SLOW:
                counts[way, f"over {SLOW:g} s"] += 1
                slow = True
        if ends[0] != ends[1]:
            counts["both", "differ"] += 1
        if slow or ends[0] != ends[1] or ends[0] not in ("answer", "error"):
            print(f"{name}: {ends}", file=sys.stderr)
            if keep:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / name.replace(" ", "_")).write_bytes(data)
        if number + 1 in (pictures // 10, pictures // 2, pictures):
            memory.append(resident())
    for (way, end), count in sorted(counts.items()):
        print(f"{way}: {end}: {count}")
    for way, (seconds, name) in zip(("recognize", "page"), worst):
        print(f"{way}: slowest {seconds:.2f} s of a core ({name})")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"memory after a tenth, half and all: {', '.join(f'{value:.0f}' for value in memory)} MB, peak {peak:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--mains", type=int, default=0)
    parser.add_argument("--disks", action="store_true")
    parser.add_argument("--minutes", type=float, default=60)
    given = parser.parse_args()
    if given.pictures:
        damage(given.bundle, given.pictures, given.seed, given.keep)
    if given.kills or given.mains or given.disks:
        disturb(given)


def disturb(given: argparse.Namespace) -> None:
    def deadline() -> float:
        return time.monotonic() + 60 * given.minutes

    with tempfile.TemporaryDirectory() as temporary:
        whole = Undisturbed.run(Path(temporary) / "whole")
        print(f"undisturbed main: {whole.seconds:.0f} s", flush=True)
        if given.disks:
            print(fill_disks(whole, deadline()), flush=True)
        if given.mains:
            print(two_mains(whole, given.mains, given.seed, deadline()), flush=True)
        if given.kills:
            print(kill_trainings(whole, given.kills // 2, given.seed, deadline()), flush=True)
            print(kill_mains(whole, given.kills, given.seed, deadline()), flush=True)
            print(kill_enrollments(Path(given.bundle), given.kills, given.seed, deadline()), flush=True)


if __name__ == "__main__":
    main()
