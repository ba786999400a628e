"""What the command line prints, on consoles and into files of any kind."""

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from crystal_eyes.recognizer import bundle
from tests.runs import ROOT, draw_head

NAME, SERIES = "初音ミク Ägir 👾", "Böse\x1b[31m\nZeile\x85\u2028"


@pytest.fixture(scope="module")
def named(bundle_folder, tmp_path_factory) -> Path:
    """A bundle whose characters have names that few encodings can write, and control characters besides."""
    folder = Path(shutil.copytree(bundle_folder, tmp_path_factory.mktemp("named") / "bundle"))
    (folder / bundle.CHARACTERS).write_text(json.dumps([[f"{NAME} {n}", SERIES] for n in range(8)]))
    rows = json.loads((folder / "gallery.json").read_text())
    (folder / "gallery.json").write_text(json.dumps([[f"{NAME} {one.split()[-1]}", length] for one, length in rows]))
    listing = json.loads((folder / bundle.LISTING).read_text())
    bundle.write_listing(folder, listing["source"], list(listing["files"]))
    return folder


@pytest.fixture
def pictures(tmp_path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    draw_head(0, 0).resize((192, 192)).save(folder / "ミク.png")
    shutil.copy(folder / "ミク.png", os.path.join(os.fsencode(folder), b"\xff\xe9 latin.png"))
    shutil.copy(folder / "ミク.png", folder / "new\nline.png")
    (folder / "broken 👾.png").write_bytes(b"no picture")
    return folder


def run(*arguments, largest_file: int = resource.RLIM_INFINITY, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """largest_file: bytes that a file may have, beyond which writing fails as it does on a full disk."""
    return subprocess.run(
        [sys.executable, "-m", "crystal_eyes.cli", *map(str, arguments)],
        cwd=ROOT, capture_output=True, env=os.environ | environment,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY)),
    )  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii", "cp932", "utf-16", "latin-1:strict"])
def test_every_encoding_of_the_output_gets_all_answers(named, pictures, encoding):
    for command in ("recognize", "check"):
        done = run(command, "--bundle", named, pictures, PYTHONIOENCODING=encoding)
        text = done.stdout.decode(encoding.split(":")[0])
        assert done.returncode == 1 and b"Traceback" not in done.stderr, done.stderr
        assert text.count("the whole picture is a head") == 3 and text.count("not a PNG") == 1
        assert text.count("\x1b") == 0 and text.count("\\x1b[31m\\nZeile\\x85\\u2028") >= 15
        assert r"new\nline.png: 1 head" in text and r"\udcff\udce9 latin.png: 1 head" in text
        assert ("ミク" in text) == (encoding in ("utf-8", "utf-16", "cp932"))
        assert "1 of 4 pictures could not be read" in done.stderr.decode(encoding.split(":")[0])


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii", "cp932"])
def test_json_is_complete_and_the_same_in_every_encoding(named, pictures, encoding):
    done = run("recognize", "--json", "--bundle", named, pictures, PYTHONIOENCODING=encoding)
    lines = [json.loads(line) for line in done.stdout.decode(encoding).splitlines()]
    assert done.returncode == 1 and len(lines) == 4
    names = {os.fsencode(Path(line["picture"]).name) for line in lines}
    assert names == {"ミク.png".encode(), b"\xff\xe9 latin.png", b"new\nline.png", "broken 👾.png".encode()}
    assert [set(line) for line in lines if "error" in line] == [{"picture", "error"}]
    best = next(line for line in lines if line["picture"].endswith("ミク.png"))["heads"][0]["candidates"][0]
    assert best["character"].startswith(NAME) and best["series"] == SERIES
    assert (NAME.encode() in done.stdout) == (encoding == "utf-8")


def test_a_locale_without_letters_does_not_matter(named, pictures):
    """LANG=C with Python's UTF-8 mode off, as in bare containers and cron."""
    done = run(
        "recognize", "--bundle", named, pictures, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING=""
    )
    assert done.returncode == 1 and done.stdout.count(b"the whole picture is a head") == 3, done.stderr


def test_wrong_arguments_in_any_letters_are_one_line(bundle_folder):
    for encoding in ("ascii", "cp1252"):
        done = run("recognize", "--bundle", bundle_folder, "どこ/👾.png", PYTHONIOENCODING=encoding)
        assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and b"does not exist" in done.stderr


@pytest.mark.parametrize("json_lines", [[], ["--json"]])
def test_a_full_disk_below_the_output_is_one_line(bundle_folder, pictures, json_lines):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "crystal_eyes.cli", "recognize", *json_lines, "--bundle", bundle_folder, pictures],
            cwd=ROOT, stdout=full, stderr=subprocess.PIPE,
        )  # fmt: skip
    lines = [line for line in done.stderr.decode().splitlines() if not line.startswith(("recognize: ", "crystal-eyes: using "))]
    assert done.returncode == 1 and len(lines) == 1 and lines[0].startswith("crystal-eyes: no space left"), done.stderr


def test_a_disk_that_fills_up_during_enroll_leaves_no_partial_copy(bundle_folder, tmp_path):
    draw_head(9, 0).resize((192, 192)).save(tmp_path / "head.png")
    largest = max(path.stat().st_size for path in bundle_folder.rglob("*") if path.is_file())
    before = sorted(tmp_path.iterdir())
    enroll = ["enroll", "--bundle", bundle_folder, "--character", "Nova", "--output", tmp_path / "copy", tmp_path / "head.png"]
    for limit in (0, 2000, largest // 2, largest - 1):
        done = run(*enroll, largest_file=limit)
        lines = done.stderr.decode().splitlines()
        assert done.returncode == 1 and len(lines) == 1 and "no space left" in lines[0], lines
        assert sorted(tmp_path.iterdir()) == before
    assert run(*enroll).returncode == 0


def test_a_disk_that_fills_up_while_a_bundle_is_changed_leaves_it_as_it_was(bundle_folder, tmp_path):
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "bundle"))
    draw_head(9, 0).resize((192, 192)).save(tmp_path / "head.png")
    before = {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}
    enroll = ["enroll", "--bundle", folder, "--character", "Nova", tmp_path / "head.png"]
    listing = (folder / "bundle.json").stat().st_size
    for limit in (0, 60, 1000, listing - 1):
        done = run(*enroll, largest_file=limit)
        lines = done.stderr.decode().splitlines()
        assert done.returncode == 1 and len(lines) == 1 and "no space left" in lines[0], lines
        assert {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")} == before
        bundle.read_bundle(folder)
    assert run(*enroll).returncode == 0


def test_a_port_that_cannot_be_is_one_line(bundle_folder):
    for port in ("99999", "-1"):
        done = run("serve", "--bundle", bundle_folder, "--port", port)
        lines = done.stderr.decode().splitlines()
        assert done.returncode == 1 and len(lines) == 1 and "choose another host or port" in lines[0], lines


def test_exit_codes(bundle_folder, pictures):
    assert run("recognize", "--bundle", bundle_folder, pictures / "ミク.png").returncode == 0
    assert run("recognize", "--bundle", bundle_folder, pictures).returncode == 1
    assert run("recognize", "--nonsense").returncode == 2
