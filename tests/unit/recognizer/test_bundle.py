import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crystal_eyes.errors import UserError
from crystal_eyes.recognizer import Recognizer, bundle, gallery
from crystal_eyes.recognizer.bundle import FORMAT, LISTING, OLDEST, read_bundle, write_listing
from tests.bundles import add_character
from tests.runs import draw_head

NEEDED = ("detector.onnx", "encoder.onnx", "classifier.onnx", "characters.json", "means.npy", "calibration.json")


@pytest.fixture
def copy(bundle_folder, tmp_path) -> Path:
    """A copy that tests may damage."""
    return Path(shutil.copytree(bundle_folder, tmp_path / "copy"))


def change(folder: Path, edit) -> None:
    listing = json.loads((folder / LISTING).read_text())
    edit(listing)
    (folder / LISTING).write_text(json.dumps(listing))


def files_in(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name != LISTING]


def refused(folder: Path, *words: str) -> None:
    with pytest.raises(UserError) as caught:
        read_bundle(folder)
    text = str(caught.value)
    assert "\n" not in text and all(word in text for word in words), text
    with pytest.raises(UserError):
        Recognizer.load(folder)


def test_an_intact_bundle_opens_and_says_what_it_holds(bundle_folder):
    opened = read_bundle(str(bundle_folder))
    assert opened.folder == bundle_folder and opened.enrolled == []
    assert opened.characters == [(f"Character {n}", f"Series {n}" if n % 2 else "") for n in range(8)]
    assert opened.listing["source"].keys() == {"detector", "encoder", "embeddings", "classifier"}
    assert set(opened.listing["files"]) == {path.name for path in bundle_folder.iterdir()} - {LISTING}


def test_every_listed_file_has_the_digest_that_sha256sum_gives(bundle_folder):
    files = read_bundle(bundle_folder).listing["files"]
    assert files == {name: hashlib.sha256((bundle_folder / name).read_bytes()).hexdigest() for name in files}


@pytest.mark.parametrize("name", [*NEEDED, *gallery.FILES, "README.md"])
def test_one_altered_byte_in_any_file_is_noticed_and_named(copy, name):
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    refused(copy, str(copy / name), "changed")


@pytest.mark.parametrize("name", [*NEEDED, *gallery.FILES, "README.md"])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    refused(copy, str(copy / name), "missing")


def test_a_folder_instead_of_a_file_is_refused(copy):
    (copy / "means.npy").unlink()
    (copy / "means.npy").mkdir()
    refused(copy, str(copy / "means.npy"))


@pytest.mark.parametrize("name", [*NEEDED, *gallery.FILES])
def test_a_listing_without_a_file_that_recognition_reads_is_refused(copy, name):
    """Otherwise the file would be read unchecked."""
    change(copy, lambda listing: listing["files"].pop(name))
    refused(copy, LISTING, name)


@pytest.mark.parametrize("name", ["character.json", *gallery.FILES])
def test_an_enrolled_character_whose_files_are_not_all_listed_is_refused(copy, name):
    add_character(copy, "Nene", "", np.eye(2, 16, dtype=np.float32), [Image.new("RGB", (9, 9))] * 2)
    read_bundle(copy)
    change(copy, lambda listing: listing["files"].pop(f"enrolled/nene/{name}"))
    refused(copy, name)


def test_a_bundle_whose_source_is_uris_still_loads(copy, bundle_folder):
    """As bundles of format 2 were listed at first."""
    old = {"detector": "head-detector", "onnx": "runs:/0123abc/onnx", "embeddings": "runs:/4567def/embeddings",
           "catalogue": "runs:/89ab/catalogue"}  # fmt: skip
    files = json.loads((copy / LISTING).read_text())["files"]
    text = json.dumps({"format": 2, "source": old, "files": files}, indent=1, sort_keys=True, ensure_ascii=False)
    (copy / LISTING).write_text(text + "\n", encoding="utf-8")
    assert read_bundle(copy).listing["source"] == old
    picture = draw_head(1, 0)
    assert Recognizer.load(copy, 1).recognize(picture) == Recognizer.load(bundle_folder, 1).recognize(picture)


def test_a_newer_format_asks_for_an_update(copy):
    change(copy, lambda listing: listing.update(format=FORMAT + 1))
    refused(copy, f"format {FORMAT + 1}", "update crystal-eyes")


def test_an_older_format_asks_for_another_bundle(copy):
    change(copy, lambda listing: listing.update(format=OLDEST - 1))
    refused(copy, f"format {OLDEST - 1}", "rebuild or re-download the bundle")


@pytest.mark.parametrize(
    "text",
    ["", "no json", "[]", "3", "null", "{}", f'{{"format": {FORMAT}}}', f'{{"format": {FORMAT}, "files": 5}}',
     f'{{"format": {FORMAT}, "files": null}}', '{"files": {}}', f'{{"format": {FORMAT}, "files": ["a"]}}', b"\xff\xfe\x00"],
)  # fmt: skip
def test_an_invalid_listing_is_refused_in_one_line(copy, text):
    (copy / LISTING).write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(copy, str(copy), LISTING)


def test_a_folder_without_a_listing_is_not_a_bundle(tmp_path):
    refused(tmp_path, f"{tmp_path} is not a bundle", LISTING)


@pytest.mark.parametrize(
    "name",
    ["../outside", "/etc/hostname", "a/../../outside", "a//b", "", ".", "..", ".hidden", "a/.hidden", "enrolled/../../outside",
     "a\\b", "a b", "outside\n", "./outside", "a/", "~/outside"],
)  # fmt: skip
def test_a_name_outside_the_bundle_is_refused_before_anything_is_read(copy, name):
    (copy.parent / "outside").write_text("secret")
    digest = hashlib.sha256(b"secret").hexdigest()
    change(copy, lambda listing: listing["files"].update({name: digest}))
    refused(copy, LISTING, repr(name))


def test_a_link_to_other_contents_is_noticed_and_one_to_the_same_is_not(copy, tmp_path):
    """The digest is of what is read, wherever it lies."""
    (copy / "means.npy").rename(tmp_path / "elsewhere.npy")
    (copy / "means.npy").symlink_to(tmp_path / "elsewhere.npy")
    assert read_bundle(copy).characters
    (tmp_path / "elsewhere.npy").write_bytes(b"other")
    refused(copy, str(copy / "means.npy"), "changed")


def test_a_file_that_is_not_listed_is_ignored(copy, bundle_folder):
    (copy / "notes.txt").write_text("mine")
    (copy / "enrolled" / "stray").mkdir(parents=True)
    (copy / "enrolled" / "stray" / "character.json").write_text("no json")
    assert read_bundle(copy).listing == read_bundle(bundle_folder).listing
    assert len(Recognizer.load(copy).naming.characters) == 8


def test_enrolled_characters_are_in_the_order_of_their_folders(copy):
    for name in ("Zoe", "Ami", "Mio"):
        add_character(copy, name, "", np.eye(1, 16, dtype=np.float32), [Image.new("RGB", (9, 9))])
    assert [folder.name for folder in read_bundle(copy).enrolled] == ["ami", "mio", "zoe"]
    assert all(folder.parent == copy / "enrolled" for folder in read_bundle(copy).enrolled)


def test_a_written_listing_is_the_same_whatever_the_files_order_and_leaves_nothing_behind(copy):
    files = list(read_bundle(copy).listing["files"])
    write_listing(copy, {"名": "前"}, files)
    first = (copy / LISTING).read_bytes()
    write_listing(copy, {"名": "前"}, files[::-1])
    assert (copy / LISTING).read_bytes() == first and "前".encode() in first
    assert read_bundle(copy).listing["source"] == {"名": "前"}
    assert not list(copy.glob("*.part"))


def test_a_listing_that_cannot_be_written_leaves_the_old_one(copy):
    before = (copy / LISTING).read_bytes()
    with pytest.raises(OSError):
        write_listing(copy, {}, ["means.npy", "not there"])
    with pytest.raises(TypeError):
        write_listing(copy, {"value": object()}, ["means.npy"])
    assert (copy / LISTING).read_bytes() == before and read_bundle(copy).characters


def test_files_that_name_different_numbers_of_characters_are_refused(copy):
    names = json.loads((copy / bundle.CHARACTERS).read_text())
    for name, write in (
        (bundle.CHARACTERS, lambda path: path.write_text(json.dumps(names[:-1]))),
        (bundle.MEANS, lambda path: np.save(path, np.load(path)[:-1])),
    ):
        good = (copy / name).read_bytes()
        write(copy / name)
        write_listing(copy, {}, files_in(copy))
        with pytest.raises(UserError, match="different numbers of characters") as caught:
            Recognizer.load(copy)
        assert "\n" not in str(caught.value)
        (copy / name).write_bytes(good)
    write_listing(copy, {}, files_in(copy))
    assert Recognizer.load(copy)


@pytest.mark.parametrize("name", ["detector.onnx", "encoder.onnx", "classifier.onnx"])
def test_a_network_of_another_kind_is_refused_in_one_line(copy, name):
    (copy / name).write_bytes(b"no network")
    write_listing(copy, {}, files_in(copy))
    with pytest.raises(UserError) as caught:
        Recognizer.load(copy)
    assert name in str(caught.value) and "\n" not in str(caught.value)
