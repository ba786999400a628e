"""A bundle that is read while another process enrolls into it."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crystal_eyes.errors import UserError
from crystal_eyes.recognizer import Recognizer, bundle
from crystal_eyes.recognizer.bundle import LISTING, copy_bundle, open_bundle, read_bundle
from tests.runs import ROOT, draw_head

# enrolls and removes one character over and over, each time with other heads
WRITER = """
import sys
import time
from pathlib import Path
from crystal_eyes.recognizer import enrollment
folder = Path(sys.argv[1])
pictures = [sorted(Path(sys.argv[2]).glob(f"{n}-*.png")) for n in (0, 1)]
print("ready", flush=True)
number = 0
while True:
    enrollment.enroll(folder, "Nova", "", pictures[number % 2])
    time.sleep(0.1)
    enrollment.remove(folder, "Nova")
    number += 1
    print(number, flush=True)
"""


@pytest.fixture
def copy(bundle_folder, tmp_path) -> Path:
    return Path(shutil.copytree(bundle_folder, tmp_path / "copy"))


@pytest.fixture
def writer(copy, tmp_path):
    for number in (0, 1):
        for picture in range(1 + number):
            draw_head(20 + number, picture).resize((192, 192)).save(tmp_path / f"{number}-{picture}.png")
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, copy, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert process.stdout and process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.wait()


@pytest.mark.slow
def test_every_load_during_enrollments_succeeds_and_holds_one_state(copy, writer):
    seen, loads, until = set(), 0, time.monotonic() + 60
    while (loads < 10 or len(seen) < 2) and time.monotonic() < until:
        naming = Recognizer.load(copy, threads=1).naming
        enrolled = naming.gallery.characters.count("Nova")
        assert enrolled in (0, 1, 2) and ("Nova" in naming.series) == bool(enrolled)
        assert len(naming.means) == len(naming.characters) == 8 + bool(enrolled)
        seen.add(enrolled)
        loads += 1
    assert writer.poll() is None, "the writer failed"
    assert loads >= 10 and len(seen) > 1


def test_a_load_starts_again_when_the_listing_changed_meanwhile(copy, monkeypatch):
    """The moment between the listing and its files, which a real writer rarely hits."""
    monkeypatch.setattr(bundle, "PAUSE", 0.0)
    states = []

    def load(opened):
        states.append(sorted(opened.listing["files"]))
        if len(states) == 1:  # somebody replaces a file and its entry
            (copy / "README.md").write_text("changed")
            bundle.write_listing(copy, opened.listing["source"], list(opened.listing["files"]))
            raise FileNotFoundError("what was just there")
        return len(states)

    assert open_bundle(copy, load) == 2


def test_a_damaged_bundle_is_refused_at_once(copy):
    (copy / "means.npy").write_bytes(b"x")
    calls = time.monotonic()
    with pytest.raises(UserError, match="means.npy was changed"):
        read_bundle(copy)
    assert time.monotonic() - calls < 1


def test_a_bundle_that_never_stands_still_is_refused_in_the_end(copy, monkeypatch):
    monkeypatch.setattr(bundle, "PAUSE", 0.0)

    def load(opened):
        os.utime(copy / LISTING, ns=(time.time_ns(), time.time_ns()))
        raise UserError("in the middle of a change")

    with pytest.raises(UserError, match="in the middle of a change"):
        open_bundle(copy, load)


def test_a_copy_holds_what_the_listing_names_and_nothing_else(copy, tmp_path):
    (copy / "notes.txt").write_text("mine")
    (copy / "enrolled").mkdir()
    (copy / "enrolled" / "abc.part").mkdir()
    copy_bundle(copy, tmp_path / "second")
    names = sorted(path.relative_to(tmp_path / "second").as_posix() for path in (tmp_path / "second").rglob("*"))
    assert names == sorted([*json.loads((copy / LISTING).read_text())["files"], LISTING])
    assert (tmp_path / "second" / LISTING).read_bytes() == (copy / LISTING).read_bytes()
