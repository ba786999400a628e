"""A bundle given to the command line in every way a path can be written."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from crystal_eyes import cli
from tests.runs import draw_head


@pytest.fixture
def copy(bundle_folder, tmp_path, monkeypatch) -> Path:
    monkeypatch.delenv(cli.VARIABLE, raising=False)
    draw_head(20, 0).resize((192, 192)).save(tmp_path / "head.png")
    return Path(shutil.copytree(bundle_folder, tmp_path / "my bündle #1"))


def ways(copy: Path) -> list[str]:
    return [
        str(copy), f"{copy}/", f"{copy}/.", f"{copy}/bundle.json", copy.as_uri(), f"{copy.as_uri()}/",
        (copy / "bundle.json").as_uri(),
        f"~/{copy.name}", copy.name, f"./{copy.name}/", f"../{copy.parent.name}/{copy.name}", "link", "link/bundle.json",
    ]  # fmt: skip


def test_every_way_to_write_a_bundles_path_is_understood(copy, capsys, monkeypatch):
    monkeypatch.setenv("HOME", str(copy.parent))
    monkeypatch.chdir(copy.parent)
    (copy.parent / "link").symlink_to(copy)
    for way in ways(copy):
        assert cli.main(["recognize", "--bundle", way, "head.png"]) == 0, way
        assert "the whole picture is a head" in capsys.readouterr().out
        assert cli.main(["enroll", "--bundle", way, "--character", "Nova", "~/head.png"]) == 0, (way, capsys.readouterr())
        assert cli.main(["enroll", "--bundle", way, "--character", "Nova", "--remove"]) == 0, way
        capsys.readouterr()
    monkeypatch.setenv(cli.VARIABLE, copy.as_uri())
    assert cli.main(["recognize", (copy.parent / "head.png").as_uri()]) == 0
    assert cli.main(["enroll", "--character", "Nova", "--output", "~/new copy/", "head.png"]) == 0
    assert (copy.parent / "new copy" / "bundle.json").is_file()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (r"C:\Users\me\bundle", "is a Windows path: give its path on this machine"),
        ("nowhere", "nowhere does not exist: give an existing path"),
        ("file:///nowhere/bundle", "does not exist"),
        ("file://server/bundle", "is on another machine (server)"),
        ("head.png", "head.png is not a "),
        (".", "is not a bundle: it contains no bundle.json; give the folder that does"),
        ("x" * 4000, "is not a path: File name too long"),
    ],
)
def test_what_is_no_bundle_gets_one_line(copy, capsys, monkeypatch, given, says):
    monkeypatch.chdir(copy.parent)
    for command in (["recognize", "head.png"], ["enroll", "--character", "Nova", "head.png"]):
        assert cli.main([*command, "--bundle", given]) == 1
        out, err = capsys.readouterr()
        assert out == "" and says in err and len(err.splitlines()) == 1, err


def test_what_was_skipped_is_said_and_changes_no_answer(copy, capsys):
    folder = copy.parent / "pictures"
    folder.mkdir()
    for name in ("a.avif", "b.jfif"):
        draw_head(0, 0).resize((192, 192)).convert("RGB").save(folder / name)
    (folder / "._a.avif").write_bytes(b"\0\5\x16\7")
    assert Image.open(folder / "b.jfif").format == "JPEG"
    assert cli.main(["recognize", "--bundle", str(copy), str(folder)]) == 0
    out, err = capsys.readouterr()
    assert out.count("the whole picture is a head") == 2 and "._a" not in out
    assert "crystal-eyes: skipped 1 ._ file, which macOS writes beside pictures\n" in err
