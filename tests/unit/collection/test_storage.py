"""Killed at any moment of a change, a collection is as it was before or after it."""

import os
from pathlib import Path

import numpy as np
import pytest

from crystal_eyes.collection.changes import Change, NewHead, forget_below, write
from crystal_eyes.collection.sources import SourceFile
from crystal_eyes.collection.storage import Storage, only_writer
from crystal_eyes.errors import UserError

D = 64


def change(name: str, seed: int, heads: int) -> Change:
    embeddings = np.random.default_rng(seed).standard_normal((heads, D)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    found = [NewHead((float(seed), 0, 1, 1), 0.5, False, False) for _ in range(heads)]
    digest = str(seed).encode()
    return Change(SourceFile(Path("/p", name), seed, 0), digest, True, True, picture_digest=digest, heads=found,
                  embeddings=embeddings)  # fmt: skip


def contents(folder: Path) -> list:
    storage = Storage(folder)
    heads = storage.heads_after(0, 1000)
    stored = storage.embeddings([head.row for head in heads]) if heads else []
    state = storage.state()
    assert sorted([*(head.row for head in heads), *state.dead.tolist()]) == list(range(state.rows))  # none lost, none twice
    assert storage.query("PRAGMA integrity_check") == [("ok",)]
    storage.close()
    return [(str(head.place), head.box, stored[row].tobytes()) for row, head in enumerate(heads)]


def changed(storage: Storage) -> None:
    """A picture is replaced, one is gone, and two are new: they get the rows of an earlier one that was forgotten."""
    write(storage, [change("b.png", 12, 3), change("new.png", 13, 2), change("d.png", 14, 1)])


def filled(folder: Path) -> Storage:
    storage = Storage.create(folder, "encoder", D)
    write(storage, [change(f"{name}.png", seed, 2) for seed, name in enumerate("abc")])
    forget_below(storage, [Path("/p/c.png")])
    return storage


def test_a_process_that_dies_at_any_step_of_a_change_leaves_all_of_it_or_nothing(tmp_path):
    before_folder, after_folder = tmp_path / "before", tmp_path / "after"
    filled(before_folder).close()
    storage = filled(after_folder)
    changed(storage)
    storage.close()
    before, after = contents(before_folder), contents(after_folder)
    assert len(before) == 4 and len(after) == 8

    died, step = 0, 0
    while True:
        folder = tmp_path / f"killed{step}"
        filled(folder).close()
        child = os.fork()
        if not child:
            storage = Storage(folder)
            count = iter(range(step))
            storage.db.set_progress_handler(lambda count=count: os._exit(9) if next(count, None) is None else 0, 25)
            changed(storage)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        found = contents(folder)
        assert found in (before, after)
        if code == 0:
            assert found == after
            break
        died += 1
        storage = Storage(folder)
        if found == before:  # the next run does it again
            changed(storage)
        storage.close()
        assert contents(folder) == after
        step += 1
    assert died > 10


def test_rows_of_heads_that_are_replaced_stay_as_they_are_until_that_is_certain(tmp_path, monkeypatch):
    storage = filled(tmp_path / "collection")
    before = contents(tmp_path / "collection")
    monkeypatch.setattr("crystal_eyes.collection.changes._file", lambda *_: 1 / 0)  # after the embeddings were written
    with pytest.raises(ZeroDivisionError):
        changed(storage)
    storage.close()
    assert contents(tmp_path / "collection") == before


def test_a_second_writer_is_refused_in_one_line(tmp_path):
    filled(tmp_path / "collection").close()
    first, second = only_writer(tmp_path / "collection"), only_writer(tmp_path / "collection")
    with first, pytest.raises(UserError, match="another process is changing the collection"), second:
        pass


def test_what_is_no_collection_is_one_line(tmp_path):
    with pytest.raises(UserError, match="not a collection"):
        Storage(tmp_path)
    (tmp_path / "collection.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(UserError, match="can't be read"):
        Storage(tmp_path)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "diary.txt").touch()
    with pytest.raises(UserError, match="not empty"):
        Storage.create(tmp_path / "used", "encoder", D)


@pytest.mark.parametrize("name", ["embeddings.int8", "sketches.bin"])
def test_a_collection_without_one_of_its_files_is_not_opened(tmp_path, name):
    filled(tmp_path / "c").close()
    os.truncate(tmp_path / "c" / name, 8)
    with pytest.raises(UserError, match=f"{name} can't be read .shorter than its database says.: restore it"):
        Storage(tmp_path / "c")
    (tmp_path / "c" / name).unlink()
    with pytest.raises(UserError, match=f"{name} can't be read .No such file or directory.: restore it"):
        Storage(tmp_path / "c")
