"""The running page reloads a changed bundle."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crystal_eyes.errors import UserError
from crystal_eyes.recognizer import bundle
from crystal_eyes.web import live
from crystal_eyes.web.live import LiveRecognizer
from tests.bundles import add_character


@pytest.fixture
def folder(bundle_folder, tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(live, "RETRY_SECONDS", 0.0)
    return shutil.copytree(bundle_folder, tmp_path / "bundle")


def enroll(folder: Path, name: str) -> None:
    add_character(folder, name, "", np.eye(16, dtype=np.float32)[:1], [Image.new("RGB", (48, 48))])


def test_a_change_is_loaded_and_requests_in_progress_keep_the_old_recognizer(folder, example):
    following = LiveRecognizer(folder)
    before = following.get()
    assert following.get() is before
    enroll(folder, "Nine")
    after = following.get()
    assert after is not before and following.get() is after
    assert (len(before.naming.characters), len(after.naming.characters)) == (8, 9)
    assert len(before.recognize(example("three heads"))) == 3


def test_all_requests_get_the_same_new_recognizer(folder):
    following = LiveRecognizer(folder)
    enroll(folder, "Nine")
    with ThreadPoolExecutor(8) as people:
        (after,) = set(people.map(lambda _: following.get(), range(16)))
    assert len(after.naming.characters) == 9


def test_a_character_that_was_removed_is_gone_again(folder):
    enroll(folder, "Nine")
    following = LiveRecognizer(folder)
    assert len(following.get().naming.characters) == 9
    kept = [name for name in bundle.read_bundle(folder).listing["files"] if not name.startswith(bundle.ENROLLED)]
    bundle.write_listing(folder, {}, kept)
    shutil.rmtree(folder / bundle.ENROLLED)
    assert len(following.get().naming.characters) == 8


@pytest.mark.parametrize("damage", ["listing cut", "listing gone", "file cut", "folder gone"])
def test_a_partially_written_bundle_is_not_used_until_it_is_complete(folder, damage, caplog):
    following = LiveRecognizer(folder)
    before = following.get()
    whole = shutil.copytree(folder, folder.with_name("whole"))
    enroll(whole, "Nine")
    if damage == "listing cut":
        (folder / bundle.LISTING).write_text('{"format": 2, "files"')
    elif damage == "listing gone":
        (folder / bundle.LISTING).unlink()
    elif damage == "file cut":
        shutil.copy(whole / bundle.LISTING, folder)  # names files that are not there yet
        os.utime(folder / bundle.LISTING, (1, 1))
    else:
        shutil.rmtree(folder)
    assert following.get() is before and following.get() is before
    assert "still using the previous one" in caplog.text
    shutil.copytree(whole, folder, dirs_exist_ok=True)
    assert len(following.get().naming.characters) == 9


def test_no_bundle_is_an_error_at_the_start(tmp_path):
    with pytest.raises(UserError):
        LiveRecognizer(tmp_path)
