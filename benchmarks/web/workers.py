"""What `crystal-eyes serve --workers N` costs and gives: python benchmarks/web/workers.py BUNDLE [workers ...]

For each number of workers: resident and proportional memory of each process after some pictures, pictures a second that 8
clients get from all of them, and seconds from the end of an enrollment until 16 requests at once know the character. BUNDLE is
copied.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "crystal_eyes/web/examples/3 one head.webp"
CLIENTS, PICTURES, AT_ONCE = 8, 64, 16
CLI = [sys.executable, "-m", "crystal_eyes.cli"]


def memory(pid: int) -> str:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = {name: int(re.search(rf"^{name}:\s+(\d+)", text, re.M)[1]) // 1024 for name in ("Rss", "Pss")}
    return f"{found['Rss']} MB resident, {found['Pss']} MB proportional"


def children(pid: int) -> list[int]:
    found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [child for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def measure(bundle: Path, workers: int) -> None:
    command = [*CLI, "serve", "--bundle", str(bundle), "--port", "0", "--workers", str(workers)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            url, data = server.stdout.readline().split()[4], PICTURE.read_bytes()

            def look(_: int) -> bytes:
                return urllib.request.urlopen(f"{url}recognize", data, timeout=300).read()

            def knows(_: int) -> bool:
                return b"Benchmark" in urllib.request.urlopen(f"{url}characters", timeout=300).read()

            with ThreadPoolExecutor(AT_ONCE) as clients:
                list(clients.map(look, range(2 * CLIENTS)))
                start = time.perf_counter()
                with ThreadPoolExecutor(CLIENTS) as some:
                    list(some.map(look, range(PICTURES)))
                rate = PICTURES / (time.perf_counter() - start)
                used = [f"{memory(pid)}" for pid in [server.pid, *children(server.pid)]]
                enroll = [*CLI, "enroll", "--bundle", str(bundle), "--character", "Benchmark", "--head", str(PICTURE)]
                subprocess.run(enroll, cwd=ROOT, env=environment, check=True, capture_output=True)
                start = time.perf_counter()
                all_know = all(clients.map(knows, range(AT_ONCE)))
                seconds = time.perf_counter() - start
            print(f"{workers} workers: {rate:.1f} pictures/s; all {AT_ONCE} requests know the new character: {all_know}, "
                  f"after {seconds:.2f} s; memory: {'; '.join(used)}", flush=True)  # fmt: skip
        finally:
            server.terminate()
    subprocess.run([*CLI, "enroll", "--bundle", str(bundle), "--character", "Benchmark", "--remove"],
                   cwd=ROOT, env=environment, check=True, capture_output=True)  # fmt: skip


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(shutil.copytree(sys.argv[1], Path(temporary) / "bundle"))
        for number in map(int, sys.argv[2:] or ("1", "2")):
            measure(copy, number)
