import os
from pathlib import Path

import pytest

from crystal_eyes.errors import UserError
from crystal_eyes.paths import plain_path, walk
from crystal_eyes.picture_files import find_pictures


def put(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def found_in(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in find_pictures([str(folder)]).paths]


def test_every_suffix_of_a_picture_is_found_in_any_case(tmp_path):
    names = ["a.png", "b.JPG", "c.jpeg", "d.jfif", "e.JPE", "f.webp", "g.AVIF", "h.gif", "i.bmp"]
    assert found_in(put(tmp_path, *names, "notes.txt", "j.heic")) == names


def test_linked_folders_are_entered_once_and_loops_end(tmp_path):
    put(tmp_path, "real/a.png", "elsewhere/b.png", "elsewhere/deep/c.png")
    root = put(tmp_path / "root", "x/own.png")
    (root / "a link to x").symlink_to("x")  # sorts before x: x itself counts
    (root / "one").symlink_to(tmp_path / "elsewhere")
    (root / "two").symlink_to(tmp_path / "elsewhere")
    (root / "x" / "up").symlink_to("..")
    (root / "x" / "self").symlink_to(".")
    (tmp_path / "elsewhere" / "back").symlink_to(root)
    (root / "gone").symlink_to(tmp_path / "nowhere")
    assert found_in(root) == ["one/b.png", "one/deep/c.png", "x/own.png"]


def test_a_link_to_the_folder_itself_and_to_a_picture_works(tmp_path):
    put(tmp_path, "real/a.png")
    (tmp_path / "linked").symlink_to("real")
    assert found_in(tmp_path / "linked") == ["a.png"]
    (tmp_path / "real" / "b.png").symlink_to("a.png")
    assert found_in(tmp_path / "linked") == ["a.png", "b.png"]


def test_a_picture_whose_link_is_broken_is_not_silently_missing(tmp_path):
    (tmp_path / "gone.png").symlink_to("nowhere.png")
    assert found_in(tmp_path) == ["gone.png"]


def test_what_macos_writes_beside_pictures_is_skipped_and_counted(tmp_path):
    put(tmp_path, "a.png", "._a.png", "__MACOSX/._a.png", "._notes", "b/._c.jpg", "b/c.jpg")
    files = find_pictures([str(tmp_path)])
    assert [path.name for path in files.paths] == ["a.png", "c.jpg"]
    assert files.remarks() == ["skipped 3 ._ files, which macOS writes beside pictures"]


def test_a_folder_that_can_not_be_read_is_named(tmp_path, monkeypatch):
    """Tests may run as root, who can read everything."""
    put(tmp_path, "a/x.png", "closed/y.png")
    scandir = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    files = find_pictures([str(tmp_path)])
    assert [path.name for path in files.paths] == ["x.png"]
    assert files.remarks() == [f"{tmp_path}/closed could not be read (Permission denied): its pictures are missing"]


def test_pipes_and_folders_named_like_pictures_are_not_pictures(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    put(tmp_path, "folder.png/a.png")
    assert found_in(tmp_path) == ["folder.png/a.png"]


def test_file_names_of_any_encoding_are_found(tmp_path):
    names = [b"\xe9t\xe9.png", "初音ミク.png".encode("shift-jis"), "👾.png".encode(), b"new\nline.png", b" .png"]
    for name in names:
        with open(os.path.join(os.fsencode(tmp_path), name), "wb"):
            pass
    assert {os.fsencode(path.name) for path in find_pictures([str(tmp_path)]).paths} == set(names)


def test_skipped_names_are_skipped_below_too(tmp_path):
    put(tmp_path, "a/.b/c", "a/d", ".e")
    hidden = list(walk(tmp_path, lambda name: name.startswith(".")))
    assert hidden == [(tmp_path, []), (tmp_path / "a", ["d"])]


def test_paths_as_people_write_them(tmp_path, monkeypatch):
    put(tmp_path, "a b/ü#1?.png")
    picture = tmp_path / "a b" / "ü#1?.png"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path / "a b")
    uri = picture.as_uri()
    for text in (str(picture), uri, uri.replace("file:///", "FILE://localhost/"), uri.replace("file:///", "file:/"),
                 "~/a b/ü#1?.png", "../a b/ü#1?.png", "./ü#1?.png", f"{tmp_path}//a b/../a b/ü#1?.png"):  # fmt: skip
        assert plain_path(text).samefile(picture), text
    assert find_pictures(["~/a b/*.png"]).paths == [picture]
    put(tmp_path, "a b/~x.png")
    assert plain_path("~x.png") == Path("~x.png")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (r"C:\Users\me\a.png", "is a Windows path"),
        ("D:/a.png", "is a Windows path"),
        (r"\\server\share\a.png", "is a Windows path"),
        ("file://server/a.png", "is on another machine (server)"),
        ("x" * 5000, "is not a path: File name too long"),
        ("a\0b", "is not a path"),
        ("~nobody-of-that-name/a.png", "does not exist"),
        ("[", "matches no file"),
        ("", "the path is empty"),
    ],
)
def test_a_path_that_can_not_be_gets_one_line(text, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        find_pictures([text])
    assert any(one in str(caught.value) for one in says.split("|")) and "\n" not in str(caught.value)
