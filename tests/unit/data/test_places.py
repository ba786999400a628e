"""Datasets in unusual places: linked folders, folders that can't be read."""

import os
from pathlib import Path

import pytest

from crystal_eyes.data.layouts import dataset_files, read_dataset
from pipeline.cache.digests import digest_path


def put(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def test_linked_folders_of_a_dataset_are_read_and_loops_end(tmp_path):
    root = put(tmp_path / "dataset", "Rei/1.png")
    (put(tmp_path / "elsewhere", "1.png", "2.avif", "3.jfif") / "loop").symlink_to(root)
    (root / "Asuka").symlink_to(tmp_path / "elsewhere")
    (root / "Rei" / "up").symlink_to("..")
    table, left_out = read_dataset(root, 0.85)
    assert table["file"].tolist() == ["Asuka/1.png", "Asuka/2.avif", "Asuka/3.jfif", "Rei/1.png"] and left_out == []
    assert table["path"][0] == str(tmp_path / "elsewhere" / "1.png")
    assert [path.relative_to(root).as_posix() for path in dataset_files(root)] == table["file"].tolist()


def test_a_folder_that_can_not_be_read_is_not_silently_missing(tmp_path, monkeypatch):
    """Tests may run as root, who can read everything."""
    root, scandir = put(tmp_path, "Rei/1.png", "closed/1.png"), os.scandir

    def refuse(path):
        if os.fspath(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError, match="closed"):
        read_dataset(root, 0.85)


def test_pictures_whose_names_are_not_utf_8_are_left_out_by_name(tmp_path):
    root = put(tmp_path, "Rei/1.png", "Rei/2.png", "Asuka/1.png", "Asuka/初音.png")
    folder = os.fsencode(root)
    os.rename(folder + b"/Rei/2.png", folder + b"/Rei/\xff\xe9.png")
    os.mkdir(folder + b"/Am\xe9lie")
    for name in (b"1.png", b"\xfe.txt"):
        with open(folder + b"/Am\xe9lie/" + name, "wb"):
            pass
    table, left_out = read_dataset(root, 0.85)
    assert table["file"].tolist() == ["Asuka/1.png", "Asuka/初音.png", "Rei/1.png"]
    assert {file for file, _ in left_out} == {r"Rei/\xff\xe9.png", r"Am\xe9lie/1.png", r"Am\xe9lie/\xfe.txt"}
    assert sum(why == "its path is not UTF-8, rename it" for _, why in left_out) >= 1
    "".join(file for file, _ in left_out).encode()
    assert len(dataset_files(root)) == 6 and len(digest_path(root)) > 8
