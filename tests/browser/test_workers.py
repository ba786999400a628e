"""The page served by several processes: `crystal-eyes serve --workers N`."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.bundles import add_character
from tests.runs import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores: more workers than cores are refused"),
]


def command(*more: str) -> list[str]:
    return [sys.executable, "-m", "crystal_eyes.cli", "serve", "--port", "0", "--workers", "2", *more]


@contextmanager
def serving(*more: str) -> Iterator[tuple[subprocess.Popen, str]]:
    with subprocess.Popen(
        command(*more), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            url = process.stdout.readline().split()[4]
            while len(workers(process)) < 2:
                time.sleep(0.05)
            yield process, url
        finally:
            process.terminate()


def workers(process: subprocess.Popen) -> list[int]:
    """The processes that answer, without multiprocessing's own helper."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False


def answers(process: subprocess.Popen, address: str) -> list[httpx.Response]:
    """What each worker answers: the others are stopped meanwhile, so that they can't accept the request."""
    found, all_workers = [], workers(process)
    for one in all_workers:
        others = [pid for pid in all_workers if pid != one]
        for pid in others:
            os.kill(pid, signal.SIGSTOP)
        try:
            found.append(httpx.get(address, timeout=60))
        finally:
            for pid in others:
                os.kill(pid, signal.SIGCONT)
    return found


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_both_workers_know_what_was_enrolled_and_end_together(bundle_folder, tmp_path, end):
    folder = shutil.copytree(bundle_folder, tmp_path / "bundle")
    with serving("--bundle", str(folder)) as (process, url):
        before = answers(process, f"{url}characters")
        assert len(before) == 2 and all("Character 1" in one.text and "Nova" not in one.text for one in before)
        add_character(folder, "Nova", "", np.eye(16, dtype=np.float32)[:1], [Image.new("RGB", (48, 48))])
        assert all("Nova" in one.text for one in answers(process, f"{url}characters"))  # at the very next request
        pids = workers(process)
        os.killpg(process.pid, end)  # as Ctrl+C in a terminal, which reaches all of them
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0 and not any(map(is_running, pids))
        assert "Traceback" not in errors


def test_a_worker_that_dies_is_replaced_and_none_outlives_the_first_process(bundle_folder):
    with serving("--bundle", str(bundle_folder)) as (process, url):
        assert all(one.status_code == 200 for one in answers(process, url))
        before = workers(process)
        os.kill(before[0], signal.SIGKILL)
        for _ in range(600):
            if len(now := workers(process)) == 2 and before[0] not in now:
                break
            time.sleep(0.1)
        assert before[1] in now
        assert [one.status_code for one in answers(process, url)] == [200, 200]
        process.kill()
        for _ in range(300):
            if not any(map(is_running, now)):
                break
            time.sleep(0.1)
        assert not any(map(is_running, now))
        process.wait()
        assert f"worker {before[0]} died" in process.stderr.read()


def test_a_collection_is_served_by_all_workers(bundle_folder, tmp_path):
    made = [sys.executable, "-m", "crystal_eyes.cli", "index", "crystal_eyes/web/examples", "--into", str(tmp_path / "c"),
            "--bundle", str(bundle_folder)]  # fmt: skip
    assert subprocess.run(made, cwd=ROOT).returncode == 0
    with serving("--bundle", str(bundle_folder), "--collection", str(tmp_path / "c")) as (process, url):
        found = answers(process, f"{url}collection")
        assert [one.status_code for one in found] == [200, 200] and found[0].text == found[1].text


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (["--workers", "4097"], f"4097 workers are too many for the {os.cpu_count()} cores of this machine"),
        (["--collection", "nowhere"], "nowhere is not a collection"),
        (["--host", "192.0.2.1"], "the web page can't listen on 192.0.2.1"),
        (["--bundle", "nowhere"], "nowhere does not exist"),
    ],
)
def test_what_can_not_be_served_is_one_line(bundle_folder, more, line):
    ended = subprocess.run([*command("--bundle", str(bundle_folder)), *more], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 1 and ended.stdout == ""
    (error,) = ended.stderr.splitlines()
    assert line in error
