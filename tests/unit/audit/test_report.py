"""The audit of datasets with planted errors, with the released detector and encoder."""

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crystal_eyes import cli
from crystal_eyes.audit import findings as kinds
from crystal_eyes.audit.report import write_audit
from crystal_eyes.data import cast
from crystal_eyes.data.layouts import load_dataset
from crystal_eyes.data.options import CastOptions
from crystal_eyes.errors import UserError
from crystal_eyes.recognizer.bundle import DETECTOR, ENCODER
from crystal_eyes.recognizer.places import released_folder

CHARACTERS, PICTURES = 6, 7


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="session")
def planted(made_once) -> Path:
    """A folder of characters of the cast in which every kind of error was planted, and its audit."""

    def make(folder: Path) -> None:
        drawn = load_dataset(cast.draw(folder / "cast", CastOptions(CHARACTERS, PICTURES), 0), 0.0).table
        names = sorted(set(drawn["character"]))
        for name, part in drawn.groupby("character"):
            home = folder / "heads" / f"Character {names.index(name)}"
            home.mkdir(parents=True)
            for number, path in enumerate(sorted(part["path"])):
                shutil.copy(path, home / f"{number}{Path(path).suffix}")
        heads = {home.name: sorted(home.iterdir()) for home in (folder / "heads").iterdir()}
        first, second = heads["Character 0"], heads["Character 1"]
        opened = Image.open(second[0]).convert("RGB")
        opened.resize([round(0.8 * side) for side in opened.size]).save(folder / "heads" / "Character 3" / "copy.jpg")
        shutil.copy(heads["Character 4"][0], folder / "heads" / "Character 4" / "again.png")
        (folder / "heads" / "Character 2" / "half.png").write_bytes(first[0].read_bytes()[:200])
        Image.new("RGB", (64, 64), (90, 90, 90)).save(folder / "heads" / "Character 2" / "gray.png")
        opened.resize((20, 20)).save(folder / "heads" / "Character 2" / "tiny.png")
        (folder / "heads" / "Character 2" / "notes.txt").write_text("not a picture")
        both = Image.new("RGB", (600, 360), (200, 210, 200))
        for place, path in enumerate((first[1], second[1])):
            both.paste(Image.open(path).convert("RGB").resize((200, 200)), (60 + 280 * place, 80))
        both.save(folder / "heads" / "Character 0" / "two.png")
        write(folder / "heads", folder / "audit")

    return made_once("planted", make)


def write(dataset: Path, folder: Path, **more):
    bundle = released_folder()
    return write_audit(dataset, bundle / DETECTOR, bundle / ENCODER, folder, **more)


def found(planted: Path, kind: str) -> set[tuple[str, str]]:
    return {(row["file"], row["removed"]) for row in rows_of(planted / "audit" / "findings.csv") if row["kind"] == kind}


def test_every_planted_error_is_found_as_what_it_is(planted):
    assert {file for file, _ in found(planted, kinds.TWO_NAMES)} >= {"Character 3/copy.jpg"}
    assert len(found(planted, kinds.DUPLICATE)) == 1
    assert found(planted, kinds.TINY_HEAD) == {("Character 2/tiny.png", "yes")}
    assert found(planted, kinds.SEVERAL) == {("Character 0/two.png", "yes")}
    assert {file for file, _ in found(planted, kinds.UNUSABLE)} == {
        "Character 2/half.png", "Character 2/gray.png", "Character 2/notes.txt",
    }  # fmt: skip


def test_the_cleaned_table_is_the_dataset_without_what_is_removed(planted):
    rows = rows_of(planted / "audit" / "findings.csv")
    removed = {row["file"] for row in rows if row["removed"] == "yes"}
    before = load_dataset(planted / "heads", 0.0).table
    cleaned = load_dataset(planted / "audit" / "cleaned.csv", 0.0)
    assert set(cleaned.table["path"]) == set(before["path"][~before["file"].isin(removed)])
    assert not cleaned.left_out and set(cleaned.table["character"]) == set(before["character"])


def test_the_page_shows_pictures_of_every_kind_and_loads_nothing(planted):
    page = (planted / "audit" / "page.html").read_text("utf-8")
    assert "Character 3/copy.jpg" in page and "default-src 'none'" in page
    assert len(re.findall(r'src="data:image/webp;base64,', page)) > 5
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page) and "<script" not in page


def test_a_second_audit_looks_at_nothing_again_and_finds_the_same(planted, tmp_path, monkeypatch):
    folder = tmp_path / "audit"
    shutil.copytree(planted / "audit", folder)
    (seen,) = folder.glob("seen-*.bin")
    size = seen.stat().st_size
    with open(seen, "ab") as file:  # a record that an interrupted audit left half-written
        file.write(b"half a record")
    monkeypatch.setattr("crystal_eyes.audit.looking.find_heads", None)  # any call of it would fail
    write(planted / "heads", folder)
    for name in ("findings.csv", "cleaned.csv", "page.html"):
        assert (folder / name).read_bytes() == (planted / "audit" / name).read_bytes()
    assert seen.stat().st_size == size


def test_near_duplicates_in_two_splits_are_removed_from_training(planted, tmp_path):
    heads = sorted((planted / "heads").glob("Character 1/[0-9].*"))
    copy = tmp_path / "copy.png"
    Image.open(heads[0]).convert("RGB").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(copy)
    rows = [*((path, "train") for path in heads), (copy, "test")]
    (tmp_path / "table.csv").write_text("file,character,split\n" + "".join(f"{path},One,{split}\n" for path, split in rows))
    report = write(tmp_path / "table.csv", tmp_path / "audit")
    across = [row for row in rows_of(report.findings) if row["kind"] == kinds.ACROSS]
    assert [(row["file"], row["other_file"], row["removed"]) for row in across] == [(str(heads[0]), str(copy), "yes")]


def test_names_are_escaped_on_the_page(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(2):
        home = tmp_path / "heads" / f"<b>{number}&"
        home.mkdir(parents=True)
        for picture in range(2):
            Image.fromarray(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(home / f"{picture}.png")
    report = write(tmp_path / "heads", tmp_path / "audit")
    assert "<b>0" not in report.page.read_text("utf-8") and "&lt;b&gt;0&amp;" in report.page.read_text("utf-8")


def test_a_folder_with_other_things_and_one_inside_the_dataset_are_refused(planted, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "novel.txt").write_text("x")
    with pytest.raises(UserError, match="something else than an audit"):
        write(planted / "heads", tmp_path / "mine")
    with pytest.raises(UserError, match="inside the dataset"):
        write(planted / "heads", planted / "heads" / "audit")
    with pytest.raises(UserError, match="does not exist"):
        write(tmp_path / "nothing", tmp_path / "audit")
    assert not (tmp_path / "audit").exists() and [path.name for path in (tmp_path / "mine").iterdir()] == ["novel.txt"]


def test_the_command_says_what_was_found_and_where(planted, tmp_path, capsys):
    shutil.copytree(planted / "audit", tmp_path / "audit")
    assert cli.main(["audit", str(planted / "heads"), "--output", str(tmp_path / "audit"), "--bundle", "released"]) == 0
    said = capsys.readouterr().out
    assert "two names" in said and "page.html" in said and "heads are in cleaned.csv" in said
    assert cli.main(["audit", str(tmp_path / "none"), "--output", str(tmp_path / "b"), "--bundle", "released"]) == 1
    assert "does not exist" in capsys.readouterr().err and not (tmp_path / "b").exists()


def test_a_bundle_with_another_encoder_than_the_thresholds_is_told_of(planted, tmp_path, bundle_folder, capsys):
    command = ["audit", str(planted / "heads"), "--output", str(tmp_path / "audit"), "--bundle", str(bundle_folder)]
    assert cli.main(command) == 0
    assert "the thresholds for wrong labels and one character were chosen with the encoder" in capsys.readouterr().out
    assert "thresholds for wrong labels" in (tmp_path / "audit" / "page.html").read_text("utf-8")
