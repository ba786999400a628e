"""Digests follow contents, not the names of places; what was hashed once is not read again."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.cache import digests, remembered
from pipeline.cache.digests import digest_dataset, digest_file, digest_path
from tests.runs import draw_heads


@pytest.fixture
def heads(tmp_path):
    return draw_heads(tmp_path / "heads", characters=2, pictures=2)


def test_a_copy_and_a_link_are_the_same_dataset(heads, tmp_path):
    copy = shutil.copytree(heads, tmp_path / "copy")
    link = tmp_path / "link"
    link.symlink_to(heads)
    assert digest_dataset(heads) == digest_dataset(copy) == digest_dataset(link)


def test_a_changed_renamed_added_or_removed_image_changes_the_dataset(heads):
    digests = [digest_dataset(heads)]
    picture = heads / "Character 0" / "0.png"
    content = picture.read_bytes()
    picture.write_bytes(content + b"x")
    digests.append(digest_dataset(heads))
    picture.rename(picture.with_name("2.png"))
    digests.append(digest_dataset(heads))
    picture.write_bytes(content)
    digests.append(digest_dataset(heads))
    picture.with_name("2.png").unlink()
    picture.with_name("1.png").unlink()
    digests.append(digest_dataset(heads))
    assert len(set(digests)) == len(digests)


def test_images_that_a_table_names_elsewhere_count(heads, tmp_path):
    folder = tmp_path / "table"
    folder.mkdir()
    (folder / "heads.csv").write_text("file,character\n../heads/Character 0/0.png,A\n../heads/Character 1/0.png,B\n")
    before = digest_dataset(folder), digest_dataset(folder / "heads.csv")
    picture = heads / "Character 1" / "0.png"
    picture.write_bytes(picture.read_bytes() + b"x")
    after = digest_dataset(folder), digest_dataset(folder / "heads.csv")
    assert before[0] != after[0] and before[1] != after[1]


def test_files_that_a_table_does_not_name_do_not_count_when_the_table_is_given(heads):
    table = heads / "heads.csv"
    table.write_text("file,character\nCharacter 0/0.png,A\n")
    before = digest_dataset(table)
    (heads / "Character 1" / "0.png").unlink()
    assert digest_dataset(table) == before


def test_the_order_in_which_a_disk_lists_files_does_not_count(tmp_path):
    for folder, names in (("a", "xyz"), ("b", "zyx")):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).write_text(name)
    assert digest_path(tmp_path / "a") == digest_path(tmp_path / "b")


# What was hashed before. Files of 2 MB: less than remembered.WORTH is hashed again sooner than looked up.


@pytest.fixture
def hashed(tmp_path, monkeypatch) -> list[str]:
    """The paths of files that are really read, in an empty cache folder that any file's age suffices for."""
    monkeypatch.setenv("CRYSTAL_EYES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remembered, "_in_process", {})
    monkeypatch.setattr(remembered, "RACY", 0)
    paths, hash_of = [], digests._hash
    monkeypatch.setattr(digests, "_hash", lambda path: paths.append(path) or hash_of(path))
    return paths


@pytest.fixture
def big(tmp_path) -> Path:
    path = tmp_path / "big.bin"
    path.write_bytes(os.urandom(2_000_000))
    time.sleep(0.02)  # older than a tick of the file system's clock
    return path


def new_process(monkeypatch) -> None:
    monkeypatch.setattr(remembered, "_in_process", {})


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_unchanged_file_is_read_once_by_all_processes(big, hashed, monkeypatch):
    first = digest_file(big)
    new_process(monkeypatch)
    assert digest_file(big) == first == sha256(big) and hashed == [str(big)]


def test_changed_contents_are_noticed_even_at_equal_size_and_with_the_modification_time_set_back(big, hashed, monkeypatch):
    before, stat = digest_file(big), big.stat()
    big.write_bytes(os.urandom(2_000_000))
    os.utime(big, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert big.stat().st_mtime_ns == stat.st_mtime_ns and big.stat().st_size == stat.st_size
    assert digest_file(big) == sha256(big) != before
    new_process(monkeypatch)
    assert digest_file(big) == sha256(big)


def test_a_file_that_another_one_replaces_is_noticed(big, hashed, tmp_path):
    before, other = digest_file(big), tmp_path / "other.bin"
    other.write_bytes(os.urandom(2_000_000))
    other.replace(big)
    assert digest_file(big) == sha256(big) != before


def test_a_file_that_was_just_written_is_not_remembered(big, hashed, monkeypatch):
    monkeypatch.setattr(remembered, "RACY", 60 * 10**9)
    digest_file(big)
    new_process(monkeypatch)
    digest_file(big)
    assert hashed == [str(big)] * 2


def test_many_small_files_are_remembered_together(tmp_path, hashed, monkeypatch):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(1200):
        (folder / f"{number}").write_bytes(os.urandom(1000))
    time.sleep(0.02)
    first = digest_path(folder)
    (folder / "7").write_bytes(b"changed")
    new_process(monkeypatch)
    hashed.clear()
    assert digest_path(folder) != first and hashed == [str(folder / "7")]


def test_a_file_that_vanishes_is_missing_and_forgotten_within_a_day(big, hashed, monkeypatch, tmp_path):
    digest_file(big)
    other = tmp_path / "other.bin"
    other.write_bytes(os.urandom(2_000_000))
    time.sleep(0.02)
    big.unlink()
    assert digest_file(big) == digests.MISSING
    monkeypatch.setattr(remembered, "DAY", 1)
    time.sleep(1)
    digest_file(other)
    with sqlite3.connect(tmp_path / "cache" / "digests.db") as database:
        assert [os.fsdecode(name) for (name,) in database.execute("SELECT path FROM digests")] == [str(other)]


def test_a_damaged_store_is_replaced(big, hashed, monkeypatch, tmp_path):
    store = tmp_path / "cache" / "digests.db"
    store.parent.mkdir()
    store.write_bytes(b"this is no database, however long it may be" * 1000)
    for _ in range(3):
        new_process(monkeypatch)
        assert digest_file(big) == sha256(big)
    assert len(hashed) < 3


def test_without_a_store_files_are_hashed_again(big, hashed, monkeypatch, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    for _ in range(2):
        new_process(monkeypatch)
        assert digest_file(big) == sha256(big)
    assert len(hashed) == 2


def test_a_full_disk_fails_no_step(big, hashed, monkeypatch):
    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(remembered, "_prune", full)
    for _ in range(2):
        new_process(monkeypatch)
        assert digest_file(big) == sha256(big)
    assert len(hashed) == 2


def test_a_name_that_is_not_text_is_remembered_too(hashed, monkeypatch, tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.bin"))
    path.write_bytes(os.urandom(2_000_000))
    time.sleep(0.02)
    digest_file(path)
    new_process(monkeypatch)
    assert digest_file(path) == sha256(path) and len(hashed) == 1


def test_threads_and_processes_share_the_store(hashed, tmp_path, monkeypatch):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number}").write_bytes(os.urandom(100_000))
    time.sleep(0.02)
    code = "import sys; from pathlib import Path; from pipeline.cache import digests, remembered; remembered.RACY = 0; "
    code += "print(digests.digest_path(Path(sys.argv[1])))"
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: digest_path(folder), range(8)))
    found |= {process.communicate()[0].strip() for process in processes}
    assert len(found) == 1
    new_process(monkeypatch)
    hashed.clear()
    assert {digest_path(folder)} == found and hashed == []
