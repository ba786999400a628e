"""The released bundle, what a user enrolls into it, and which bundle is the default."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from crystal_eyes import cli
from crystal_eyes.encoder.onnx_export import export_onnx
from crystal_eyes.errors import UserError
from crystal_eyes.recognizer import Recognizer, enrolled_files, places
from crystal_eyes.recognizer.bundle import FORMAT, LISTING, read_bundle, write_characters, write_listing
from crystal_eyes.recognizer.default import VARIABLE, choose_bundle
from crystal_eyes.recognizer.recognizer import bundle_folder
from crystal_eyes.recognizer.stored import open_stored
from tests.runs import draw_head


@pytest.fixture
def released(bundle_folder, tmp_path, monkeypatch) -> Path:
    """A released bundle in an installation of which nothing else exists, and a home without anything."""
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "installed"))
    monkeypatch.setattr(places, "FOLDERS", (folder,))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name in (VARIABLE, "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        draw_head(20, number).resize((192, 192)).save(tmp_path / f"{number}.png")
    return folder


@pytest.fixture
def own(released, tmp_path) -> Path:
    """Where enrolled characters are kept."""
    return tmp_path / "data" / "crystal-eyes" / "enrolled"


@pytest.fixture
def run(released, capsys):
    def call(*arguments) -> tuple[int, str, str]:
        code = cli.main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return call


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def upgrade(folder: Path, make_encoder) -> None:
    """Put another encoder into the released bundle, as a newer release does."""
    export_onnx(make_encoder(seed=5), folder / "encoder.onnx")
    listing = json.loads((folder / LISTING).read_text())
    write_listing(folder, listing["source"], list(listing["files"]))


def test_without_a_bundle_the_released_one_is_used_and_that_is_said(run, released, capsys):
    code, out, err = run("recognize", "0.png")
    assert code == 0 and "1 head" in out and err == "crystal-eyes: using the released recognizer (the default)\n"
    (head,) = Recognizer.load().recognize("0.png")
    assert capsys.readouterr().err == "using the released recognizer (the default)\n"
    assert head == Recognizer.load("released").recognize("0.png")[0]
    assert capsys.readouterr().err == ""


def test_a_given_bundle_comes_before_the_variable_and_that_before_the_released_one(run, released, bundle_folder, monkeypatch):
    assert "using the released recognizer" in run("characters")[2]
    monkeypatch.setenv(VARIABLE, str(bundle_folder))
    assert run("characters")[2] == f"crystal-eyes: using {bundle_folder} (set in ${VARIABLE})\n"
    assert run("characters", "--bundle", released)[2] == f"crystal-eyes: using {released} (as given)\n"
    assert "using the released recognizer" in run("characters", "--bundle", "released")[2]


@pytest.mark.slow
def test_a_store_without_a_champion_leaves_the_released_one(released, tmp_path, monkeypatch):
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    with pytest.raises(UserError, match="does not exist"):  # a store that is not there says nothing
        choose_bundle()
    (tmp_path / "mlflow.db").touch()
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    assert choose_bundle().source == "released"
    client.create_registered_model("crystal-eyes")
    assert choose_bundle().source == "released"
    client.create_model_version("crystal-eyes", f"{tmp_path}/somewhere")
    client.set_registered_model_alias("crystal-eyes", "champion", "1")
    assert choose_bundle().source == "models:/crystal-eyes@champion"


def test_an_installation_without_the_model_says_so_in_a_line(run, released, monkeypatch):
    monkeypatch.setattr(places, "FOLDERS", (released.parent / "nowhere",))
    for command in (["recognize", "0.png"], ["characters"], ["enroll", "--character", "Nova", "0.png"]):
        code, out, err = run(*command)
        assert (code, out) == (1, "") and "no bundle: use --bundle FOLDER" in err and "no released recognizer" in err
        assert len(err.splitlines()) == 1
    for source in (None, "released"):
        with pytest.raises(UserError, match="this installation has no released recognizer"):
            Recognizer.load(source)


def test_a_model_of_a_newer_format_says_so_in_a_line(run, released):
    listing = json.loads((released / LISTING).read_text())
    (released / LISTING).write_text(json.dumps(listing | {"format": FORMAT + 1}))
    code, out, err = run("recognize", "0.png")
    assert (code, out) == (1, "") and "update crystal-eyes" in err and len(err.splitlines()) == 1


def test_what_is_enrolled_into_the_released_bundle_is_kept_apart_and_used_from_then_on(run, released, own):
    before = contents(released)
    code, out, err = run("enroll", "--character", "Nova", "--series", "S", "0.png", "1.png")
    assert err == f"crystal-eyes: using the released recognizer and 1 enrolled character in {own} (the default)\n"
    assert code == 0 and f"Nova was added to {own} from 2 heads" in out
    assert contents(released) == before
    code, out, err = run("recognize", "2.png")
    assert code == 0 and "Nova (S)" in out
    assert err == f"crystal-eyes: using the released recognizer and 1 enrolled character in {own} (the default)\n"
    assert sum(path.stat().st_size for path in own.rglob("*") if path.is_file()) < 100_000  # not a copy of the bundle
    (head,) = Recognizer.load().recognize("0.png")
    assert head.nearest[0].character == "Nova" and head.nearest[0].thumbnail
    assert run("enroll", "--character", "Nova", "--rename", "Luna")[0] == 0
    assert "Luna (S), 2 heads, enrolled" in run("characters", "luna")[1]
    assert run("enroll", "--character", "Luna", "--remove")[0] == 0
    assert "Luna" not in run("recognize", "2.png")[1]


def test_a_copy_of_the_released_bundle_with_its_enrolled_characters_stands_alone(run, released, own, tmp_path, monkeypatch):
    assert run("enroll", "--character", "Nova", "0.png")[0] == 0
    assert run("enroll", "--character", "Stella", "--output", tmp_path / "copy", "1.png")[0] == 0
    monkeypatch.setattr(places, "FOLDERS", ())
    names = [name for name, _ in Recognizer.load(tmp_path / "copy").naming.characters]
    assert names[-2:] == ["Nova", "Stella"] or names[-2:] == ["Stella", "Nova"]
    assert "trained" not in json.loads((tmp_path / "copy" / LISTING).read_text())


@pytest.mark.slow
def test_an_upgrade_keeps_the_enrolled_characters_and_embeds_them_again(run, released, own, make_encoder, tmp_path):
    assert run("enroll", "--character", "Nova", "--series", "S", "0.png", "1.png")[0] == 0
    old = Recognizer.load("released").naming.gallery.embeddings[-2:]
    upgrade(released, make_encoder)
    code, out, err = run("recognize", "0.png")
    assert code == 0 and "embedded 1 enrolled character again" in err and "1 head" in out
    assert Recognizer.load("released").recognize("0.png")[0].nearest[0].character == "Nova"
    assert "again" not in run("recognize", "0.png")[2]
    # as if they had been enrolled into the new release
    kept = Recognizer.load("released").naming.gallery.embeddings[-2:]
    shutil.rmtree(own)
    assert run("enroll", "--character", "Nova", "--series", "S", "0.png", "1.png")[0] == 0
    fresh = Recognizer.load("released").naming.gallery.embeddings[-2:]
    assert np.abs(kept - fresh).max() < 0.02 < np.abs(old - fresh).max()


@pytest.mark.slow
def test_an_upgrade_embeds_the_characters_of_a_gallery_again_too(run, released, own, make_encoder, monkeypatch):
    monkeypatch.setattr(enrolled_files, "MOST_FOLDERS", 1)
    for number, name in enumerate(("Nova", "Stella", "Luna")):
        assert run("enroll", "--character", name, "--head", f"{number}.png")[0] == 0
    assert "and 3 enrolled characters" in run("characters")[2]
    upgrade(released, make_encoder)
    code, out, err = run("recognize", "--head", "2.png")
    assert code == 0 and "embedded 3 enrolled characters again" in err and "1 head" in out
    assert "again" not in run("recognize", "--head", "2.png")[2]
    stored = open_stored(read_bundle(own))
    assert stored and [(one.character, one.heads) for one in stored.known()] == [("Stella", 1), ("Luna", 1)]
    assert len(list(own.glob("many-*"))) == 1
    (head,) = Recognizer.load("released").recognize("2.png", head=True)
    assert head.nearest[0].character == "Luna" and head.nearest[0].similarity > 0.9


@pytest.mark.slow
def test_an_outdated_enrollment_is_not_read_with_another_encoder(run, released, own, make_encoder):
    assert run("enroll", "--character", "Nova", "0.png")[0] == 0
    upgrade(released, make_encoder)
    with pytest.raises(UserError, match="were enrolled with an earlier release"):
        Recognizer.load(own)
    assert read_bundle(bundle_folder("released")).enrolled


def test_an_enrolled_character_that_a_newer_release_knows_is_named_once_and_can_be_removed(run, released, own):
    for name in ("Nova", "Stella"):
        assert run("enroll", "--character", name, "--series", "S", f"{int(name == 'Nova')}.png")[0] == 0
    rows = json.loads((released / "characters.json").read_text("utf-8"))
    rows[2][:2], old = ["Nova", "S"], rows[2][0]
    write_characters(released, rows)
    gallery = json.loads((released / "gallery.json").read_text("utf-8"))
    (released / "gallery.json").write_text(json.dumps([["Nova" if name == old else name, size] for name, size in gallery]))
    listing = json.loads((released / LISTING).read_text())
    write_listing(released, listing["source"], list(listing["files"]))
    naming = Recognizer.load("released").naming
    assert naming.characters.count(("Nova", "S")) == 1 and naming.characters[8:] == [("Stella", "S")]
    assert naming.gallery.characters.count("Stella") == 1 and len(naming.gallery_labels) == len(naming.gallery.characters)
    assert run("enroll", "--character", "Nova", "--series", "S", "--remove")[0] == 0
    assert len(read_bundle(own).enrolled) == 1


@pytest.mark.parametrize("arguments", ["Character 1,--series,Series 1,0.png", "Nova,--remove", "Nova,nowhere.png"])
def test_a_failed_enrollment_leaves_nothing_behind(run, tmp_path, arguments):
    code, out, err = run("enroll", "--character", *arguments.split(","))
    assert (code, out) == (1, "") and len(err.splitlines()) == 1 and not list((tmp_path / "data").rglob("*"))


def test_a_home_that_cannot_be_written_is_one_line_and_no_reason_not_to_recognize(run, tmp_path):
    (tmp_path / "data").write_text("a file where the folder should be")
    code, out, err = run("enroll", "--character", "Nova", "0.png")
    assert (code, out) == (1, "") and len(err.splitlines()) == 1
    assert "can't be written" in err and "XDG_DATA_HOME" in err
    assert run("recognize", "0.png")[0] == 0


def test_a_served_page_follows_the_first_enrollment(run, released, own):
    from crystal_eyes.web.live import LiveRecognizer

    live = LiveRecognizer("released")
    assert len(live.get().naming.characters) == 8
    assert run("enroll", "--character", "Nova", "0.png")[0] == 0
    assert len(live.get().naming.characters) == 9
