"""The command line, in this process and as a user starts it."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crystal_eyes import cli
from crystal_eyes.recognizer import places
from tests.bundles import ORIGINAL
from tests.runs import ROOT, draw_head


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three head crops, one below another folder, and a file that is no picture."""
    (tmp_path / "pictures" / "more").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.png", "more/c.png")):  # of characters that the bundle does not know
        draw_head(number + 20, 0).resize((192, 192)).save(tmp_path / "pictures" / name)
    (tmp_path / "pictures" / "notes.txt").write_text("no picture")
    return tmp_path / "pictures"


@pytest.fixture
def run(bundle_folder, capsys, monkeypatch):
    monkeypatch.setenv("CRYSTAL_EYES_BUNDLE", str(bundle_folder))

    def call(*arguments) -> tuple[int, str, str]:
        code = cli.main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return call


def test_recognize_names_every_head_with_five_candidates_and_a_verdict(run, folder):
    code, out, _ = run("recognize", folder / "a.png")
    assert code == 0 and out.startswith(f"{folder / 'a.png'}: 1 head\n  1  the whole picture is a head\n")
    assert out.count("%  Character") == 5
    assert "catalogue" in out.splitlines()[-1]


def test_with_head_every_picture_is_one_head_whatever_it_shows(run, folder, tmp_path):
    Image.new("RGB", (300, 90), (200, 220, 240)).save(tmp_path / "plain.png")
    assert run("recognize", tmp_path / "plain.png")[1] == f"{tmp_path / 'plain.png'}: no head found\n"
    code, out, _ = run("recognize", "--head", "--json", tmp_path / "plain.png", folder / "a.png")
    heads = [json.loads(line)["heads"] for line in out.splitlines()]
    assert code == 0 and [(len(some), some[0]["confidence"], some[0]["whole_picture"]) for some in heads] == [(1, 1, True)] * 2
    assert heads[0][0]["box"] == [0, 0, 300, 90]
    assert run("check", "--head", tmp_path / "plain.png")[1].splitlines()[1] == "  1  the whole picture is a head"


def test_high_detail_finds_heads_that_are_missed_otherwise(run, tmp_path):
    page = Image.new("RGB", (1600, 1000), (235, 240, 250))
    for number in range(8):
        page.paste(draw_head(number, 0).resize((40, 40)), (90 + 400 * (number % 4), 200 + 500 * (number // 4)))
    page.save(tmp_path / "page.png")
    found = {detail: len(json.loads(run("recognize", "--json", "--detail", detail, tmp_path / "page.png")[1])["heads"])
             for detail in ("normal", "high")}  # fmt: skip
    assert found["normal"] < found["high"] <= 8 and found["high"] >= 6


def test_high_detail_of_pictures_that_are_heads_is_refused(run, folder, capsys):
    with pytest.raises(SystemExit) as stop:
        run("recognize", "--detail", "high", "--head", folder)
    assert stop.value.code == 2 and "not allowed with" in capsys.readouterr().err


def test_files_folders_and_patterns_are_taken_each_picture_once(run, folder):
    code, out, _ = run("recognize", "--json", folder / "a.png", folder, f"{folder}/*.png")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [Path(line["picture"]).name for line in lines] == ["a.png", "b.png", "c.png"]
    for line in lines:
        (head,) = line["heads"]
        assert len(head["candidates"]) == 5 and head["verdict"] in ("known", "unsure", "unknown") and head["sentence"]


def test_a_head_that_is_called_unknown_gets_names_without_percentages(run, folder, monkeypatch):
    for p_value, share, verdict in ((0.01, 1.0, "unknown"), (0.5, 0.5, "unsure")):
        monkeypatch.setattr("crystal_eyes.recognizer.naming.Calibration.p_values", lambda _, x, p=p_value: np.full(len(x), p))
        monkeypatch.setattr(
            "crystal_eyes.recognizer.naming.Calibration.stranger_shares", lambda _, x, s=share: np.full(len(x), s)
        )
        out = run("recognize", folder / "a.png")[1]
        (head,) = json.loads(run("recognize", "--json", folder / "a.png")[1])["heads"]
        assert head["verdict"] == verdict and head["sentence"] in out
        if verdict == "unknown":
            assert "%" not in out and out.count("     nearest  Character ") == 5
            assert f"nearest  {head['nearest'][0]['character']}" in out.splitlines()[2]
        else:
            assert out.count("%  Character") == 5 and "nearest" not in out
            assert f"most likely series: {head['series']['name']} ({head['series']['probability']:.1%})" in out


def test_characters_are_listed_by_series_and_found_by_words_in_either_script(run, bundle_folder):
    code, out, err = run("characters")
    assert code == 0 and out.splitlines()[:2] == ["8 characters", "Character 0, 4 heads"] and len(out.splitlines()) == 9
    assert err == f"crystal-eyes: using {bundle_folder} (set in $CRYSTAL_EYES_BUNDLE)\n"
    row = f"Character 1 (Series 1), {ORIGINAL[1]}, 4 heads"
    for given in (["--series", "SERIES 1"], ["character", "series 1"], [ORIGINAL[1][:3]]):
        assert run("characters", *given)[1].splitlines() == ["1 of 8 characters", row]
    assert run("characters", "nobody")[:2] == (0, "0 of 8 characters\n")
    (line,) = run("characters", "--json", "--series", "Series 1")[1].splitlines()
    assert json.loads(line) == {
        "character": "Character 1", "original_name": ORIGINAL[1], "series": "Series 1", "heads": 4, "enrolled": False
    }  # fmt: skip


def test_an_unknown_series_gets_one_line_with_the_nearest(run):
    code, out, err = run("characters", "--series", "Serie 3")
    assert (code, out) == (1, "") and len(err.splitlines()) == 1 and "the nearest are Series 3" in err


def test_check_shows_the_nearest_characters_and_both_p_values(run, folder):
    code, out, _ = run("check", folder / "a.png")
    assert code == 0 and out.count("similarity ") == 5 and "p-value if the character is in this catalogue" in out


def test_a_broken_picture_is_named_the_others_are_answered_and_the_exit_code_is_1(run, folder):
    (folder / "broken.png").write_bytes(b"nothing")
    code, out, err = run("recognize", folder)
    assert code == 1
    assert f"{folder / 'broken.png'}: not a PNG" in out and out.count("the whole picture is a head") == 3
    assert "1 of 4 pictures could not be read" in err
    code, out, _ = run("recognize", "--json", folder / "broken.png")
    assert code == 1 and "not a PNG" in json.loads(out)["error"]


@pytest.mark.parametrize(
    ("name", "says"),
    [("nowhere.png", "nowhere.png does not exist"), ("*.gif", "*.gif matches no file"), ("more", "contains no pictures")],
)
def test_pictures_that_are_not_there_get_one_line(run, folder, name, says):
    (folder / "more" / "c.png").unlink()
    code, out, err = run("recognize", folder / name)
    assert code == 1 and out == "" and says in err and len(err.splitlines()) == 1


def test_a_picture_without_a_head_says_so(run, tmp_path):
    draw_head(0, 0).point(lambda value: 255).resize((300, 300)).save(tmp_path / "white.png")
    assert run("recognize", tmp_path / "white.png")[:2] == (0, f"{tmp_path / 'white.png'}: no head found\n")
    assert json.loads(run("recognize", "--json", tmp_path / "white.png")[1])["heads"] == []


def test_no_bundle_says_how_to_get_one(capsys, folder, monkeypatch, tmp_path):
    monkeypatch.delenv("CRYSTAL_EYES_BUNDLE", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(places, "FOLDERS", ())
    monkeypatch.chdir(tmp_path)
    assert cli.main(["recognize", str(folder)]) == 1
    assert "no bundle: use --bundle FOLDER" in capsys.readouterr().err
    assert cli.main(["recognize", "--bundle", "elsewhere", str(folder)]) == 1
    assert "elsewhere does not exist" in capsys.readouterr().err
    assert not (tmp_path / "mlflow.db").exists()


def test_enroll_changes_a_folder_or_writes_another_and_remove_undoes_it(run, bundle_folder, folder, tmp_path):
    out = tmp_path / "with-nova"
    code, said, _ = run("enroll", "--character", "Nova", "--series", "S", "--output", out, folder / "a.png", folder / "b.png")
    assert code == 0 and f"Nova was added to {out} from 2 heads" in said
    assert "Nova (S)" in run("recognize", "--bundle", out, folder / "a.png")[1]
    assert "Nova" not in run("recognize", folder / "a.png")[1]
    code, said, _ = run("enroll", "--bundle", out, "--character", "Nova", "--remove")
    assert code == 0 and f"Nova was removed from {out}" in said
    listing = "bundle.json"
    assert (out / listing).read_bytes() == (bundle_folder / listing).read_bytes()


def test_a_bundle_is_changed_in_place_however_its_folder_is_written(run, bundle_folder, folder, tmp_path):
    shutil.copytree(bundle_folder, tmp_path / "bundle")
    assert run("enroll", "--bundle", f"{tmp_path}/bundle/", "--character", "Nova", folder / "a.png")[0] == 0
    assert "Nova" in run("recognize", "--bundle", tmp_path / "bundle", folder / "a.png")[1]


def test_a_failed_enrollment_leaves_no_half_written_bundle(run, folder, tmp_path):
    out = tmp_path / "bundle"
    code, _, err = run("enroll", "--character", "Character 1", "--output", out, folder / "a.png")
    assert code == 1 and "Character 1 is already in" in err and sorted(tmp_path.iterdir()) == [folder]
    assert run("enroll", "--character", "Character 1", "--output", tmp_path / "new" / "b" / "x", folder / "a.png")[0] == 1
    assert sorted(tmp_path.iterdir()) == [folder]  # no empty folders either
    out.mkdir()
    code, _, err = run("enroll", "--character", "Nova", "--output", out, folder / "a.png")
    assert code == 1 and "already exists" in err and not any(out.iterdir())


def test_a_changed_bundle_is_refused_by_the_name_of_the_file(run, bundle_folder, folder, tmp_path):
    copy = shutil.copytree(bundle_folder, tmp_path / "copy")
    (copy / "means.npy").write_bytes((copy / "means.npy").read_bytes()[:-1] + b"x")
    code, _, err = run("recognize", "--bundle", copy, folder)
    assert code == 1 and "means.npy was changed" in err and len(err.splitlines()) == 1


def test_the_command_runs_as_a_process_and_stops_when_its_output_is_closed(bundle_folder, folder):
    command = f"{sys.executable} -m crystal_eyes.cli recognize --bundle {bundle_folder} {folder} | head -n 1"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.endswith(": 1 head\n") and "Traceback" not in done.stderr


def test_a_registered_bundle_is_changed_in_a_copy_only(run, bundle_folder, folder, tmp_path):
    """A model of the registry holds its bundle in a folder below."""
    model = tmp_path / "model"
    shutil.copytree(bundle_folder, model / "artifacts" / "bundle")
    code, _, err = run("enroll", "--bundle", model, "--character", "Nova", folder / "a.png")
    assert code == 1 and "can't be changed: use --output FOLDER" in err and len(err.splitlines()) == 1
    assert run("enroll", "--bundle", model, "--character", "Nova", "--output", tmp_path / "copy", folder / "a.png")[0] == 0
    assert "Nova" in run("recognize", "--bundle", tmp_path / "copy", folder / "a.png")[1]
    assert "Nova" not in run("recognize", "--bundle", model, folder / "a.png")[1]


def test_heads_are_added_and_a_character_renamed(run, bundle_folder, folder, tmp_path):
    copy = shutil.copytree(bundle_folder, tmp_path / "bundle")
    new = ("enroll", "--bundle", copy, "--character")
    assert run(*new, "Nova", "--series", "S", folder / "a.png")[0] == 0
    code, said, _ = run(*new, "Nova", folder / "a.png", folder / "b.png")
    assert code == 0 and f"Nova (S) in {copy} now has 2 heads, 1 of them new" in said and "already enrolled" in said
    code, said, _ = run(*new, "Nova", "--rename", "Luna")
    assert (code, said) == (0, f"Nova is now Luna (S) in {copy}\n")
    code, said, _ = run(*new, "Stella", folder / "a.png", folder / "more")
    assert code == 0 and "already in the bundle under another name, and left out: Luna (S) (1)" in said
    assert run(*new, "Luna", "--series", "T", folder / "a.png")[0] == 1
    for arguments in (("--rename", "X", "--remove"), ("--remove", folder / "a.png"), ("--rename", "X", folder / "a.png")):
        code, said, err = run(*new, "Luna", *arguments)
        assert (code, said) == (1, "") and "exclude each other" in err and len(err.splitlines()) == 1
    for name in ("Luna", "Stella"):
        assert run(*new, name, "--remove")[0] == 0
    assert (copy / "bundle.json").read_bytes() == (bundle_folder / "bundle.json").read_bytes()


def test_pictures_that_were_enrolled_are_not_unknown(run, folder, tmp_path):
    out = tmp_path / "bundle"
    assert run("enroll", "--character", "Nova", "--output", out, folder / "a.png")[0] == 0
    code, said, _ = run("check", "--json", "--bundle", out, folder / "a.png")
    (head,) = json.loads(said)["heads"]
    assert head["verdict"] != "unknown" and head["p_value"] == 1.0
    assert head["nearest"][0]["character"] == "Nova" and head["nearest"][0]["similarity"] > 0.99


@pytest.mark.parametrize(
    "option",
    ["recognize --bundle", "serve --host", "serve --collection", "index . --into c --engine ray --address", "index . --into",
     "audit . --output", "search --in c --name", "search a.png --in c --sheet", "enroll --to", "enroll --from", "group c --to"],
)  # fmt: skip
def test_an_empty_value_is_not_taken_for_the_default(run, folder, option, capsys):
    name = option.split()[-1]
    with pytest.raises(SystemExit) as stop:
        run(*option.split(), "", *(() if option.startswith(("index", "audit", "serve", "group")) else [folder / "a.png"]))
    says = capsys.readouterr().err.splitlines()[-1]
    assert stop.value.code == 2 and f"argument {name}" in says and "the value is empty: give one" in says


def test_files_that_can_not_be_written_are_refused_before_the_work(run, tmp_path, folder, capsys):
    (tmp_path / "found.txt").write_text("mine")
    for arguments, why in (
        (("search", folder / "a.png", "--in", tmp_path, "--sheet", tmp_path / "found.txt"), "give one that ends in .png"),
        (("search", folder / "a.png", "--in", tmp_path, "--sheet", tmp_path / "no" / "a.png"), "no is not an existing folder"),
        (("enroll", "--to", tmp_path / "no" / "a.json"), "no is not an existing folder"),
    ):
        with pytest.raises(SystemExit) as stop:
            run(*arguments)
        assert stop.value.code == 2 and why in capsys.readouterr().err.splitlines()[-1]
    assert (tmp_path / "found.txt").read_text() == "mine" and sorted(tmp_path.iterdir()) == [tmp_path / "found.txt", folder]


def test_a_file_of_characters_that_is_not_there_gets_one_line(run, tmp_path):
    code, out, err = run("enroll", "--from", tmp_path / "nowhere.json", "--output", tmp_path / "out")
    assert (code, out) == (1, "") and "nowhere.json does not exist: give a file" in err and len(err.splitlines()) == 1
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("search", "a.png", "--in", "c", "--series", "S"), "--series belongs to a name"),
        (("index", "a.png", "--into", "c", "--forget", "--engine", "ray"), "--forget looks at no pictures"),
        (("enroll", "--character", "X", "--remove", "--head"), "--head is about pictures"),
        (("enroll", "--to", "new.json", "--head"), "--head is about pictures"),
        (("enroll", "--from", "own.json", "--head"), "heads in own.json were found before"),
        (("enroll", "--from", "own.json"), "own.json is not a file of characters .* give one, a dataset"),
    ],
)
def test_an_option_that_would_have_no_effect_is_refused(run, bundle_folder, tmp_path, monkeypatch, arguments, why):
    (tmp_path / "own.json").write_text("{}")
    monkeypatch.chdir(shutil.copytree(bundle_folder, tmp_path / "bundle").parent)
    code, out, err = run(*arguments, *(("--bundle", "bundle") if arguments[0] == "enroll" else ()))
    assert (code, out) == (1, "") and re.search(why, err) and len(err.splitlines()) == 1
    assert sorted(one.name for one in tmp_path.iterdir()) == ["bundle", "own.json"]
