import hashlib
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crystal_eyes.errors import UserError
from crystal_eyes.recognizer import Recognizer
from crystal_eyes.recognizer.bundle import read_bundle, write_listing
from crystal_eyes.recognizer.enrollment import MAX_HEADS, enroll, remove, rename
from tests.bundles import add_character
from tests.runs import draw_head

NEW = 9  # a character that the bundle does not know


def contents(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in folder.rglob("*") if p.is_file()}  # fmt: skip


def heads(folder: Path, character: int, numbers) -> list[Path]:
    """Head crops, drawn large enough for the detector to know them."""
    folder.mkdir(exist_ok=True)
    paths = []
    for number in numbers:
        paths.append(folder / f"{character}-{number}.png")
        draw_head(character, number).resize((192, 192)).save(paths[-1])
    return paths


@pytest.fixture
def folder(bundle_folder, tmp_path) -> Path:
    return shutil.copytree(bundle_folder, tmp_path / "bundle")


@pytest.fixture
def new(folder, tmp_path) -> list[Path]:
    """Pictures of a new character in which the recognizer sees exactly one head."""
    recognizer = Recognizer.load(folder, threads=1)
    found = [path for path in heads(tmp_path / "new", NEW, range(8)) if len(recognizer.find(path)) == 1]
    assert len(found) >= 6, "the drawn heads are no heads to the detector"
    return found


def test_an_enrolled_character_is_found_with_its_series_and_among_the_nearest(folder, new):
    result = enroll(folder, "Nova", "New Series", new[:3])
    assert result.heads == 3 and result.left_out == []
    recognizer = Recognizer.load(folder, threads=1)
    for path in new[3:6]:
        (head,) = recognizer.recognize(path)
        assert ("Nova", "New Series") in [(one.character, one.series) for one in head.candidates]
        assert "Nova" in [one.character for one in head.nearest]
        assert abs(sum(one.probability for one in head.candidates)) <= 1 + 1e-5


def test_a_picture_that_is_said_to_be_a_head_is_enrolled_whether_one_is_found_in_it_or_not(folder, tmp_path):
    path = tmp_path / "blot.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(path)
    with pytest.raises(UserError, match="no head found"):
        enroll(folder, "Blot", None, [path])
    assert enroll(folder, "Blot", None, [path], head=True).heads == 1
    (head,) = Recognizer.load(folder, threads=1).recognize(path, head=True)
    assert head.nearest[0].character == "Blot" and head.nearest[0].similarity > 0.99


def test_removing_undoes_it_exactly(folder, new):
    before = contents(folder)
    enroll(folder, "Nova", "S", new[:2])
    assert contents(folder) != before
    remove(folder, "Nova")
    assert contents(folder) == before


def test_removing_one_of_two_leaves_the_other_as_if_it_had_come_alone(folder, new, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    enroll(folder, "Nova", "", new[:2])
    enroll(folder, "Stella", "", new[2:4])
    remove(folder, "Nova")
    enroll(other, "Stella", "", new[2:4])
    assert contents(folder) == contents(other)


def test_the_logits_of_the_characters_known_before_stay_what_they_were(folder, new):
    before = Recognizer.load(folder, threads=1)
    embeddings = before.embed([before.find(path)[0].picture for path in new])
    enroll(folder, "Nova", "", new[:2])
    after = Recognizer.load(folder, threads=1).naming.evidence(embeddings, np.zeros(len(embeddings), bool)).logits
    assert (after[:, :-1] == before.naming.evidence(embeddings, np.zeros(len(embeddings), bool)).logits).all()
    assert after.shape[1] == len(before.naming.characters) + 1


@pytest.mark.parametrize(
    ("name", "pictures", "says"),
    [
        ("", 1, "the name is empty"),
        ("N" * 201, 1, "the name 'N*...' has 201 characters"),
        ("Character 3", 1, "Character 3 is already in .* as a trained character .Series 3.,.*: choose another name"),
        ("Nova", 0, "no usable head of Nova"),
        ("Nova", MAX_HEADS + 1, f"too many pictures of Nova .{MAX_HEADS + 1}.: choose at most {MAX_HEADS}"),
    ],
)
def test_what_cannot_be_enrolled_is_refused_in_a_line_and_nothing_changes(folder, new, name, pictures, says):
    before = contents(folder)
    with pytest.raises(UserError, match=says):
        enroll(folder, name, "", (new * MAX_HEADS)[:pictures])
    assert contents(folder) == before


def test_more_heads_are_added_to_an_enrolled_character(folder, new, tmp_path):
    before = contents(folder)
    enroll(folder, "Nova", "S", new[:2])
    result = enroll(folder, "Nova", None, [new[1], *new[2:4]])
    assert (result.character, result.series, result.heads, result.heads_before) == ("Nova", "S", 2, 2)
    assert result.left_out == [(str(new[1]), "already enrolled")] and not result.of_others
    naming = Recognizer.load(folder, threads=1).naming
    assert naming.characters[8:] == [("Nova", "S")] and naming.gallery.characters[16:] == ["Nova"] * 4
    other = shutil.copytree(folder, tmp_path / "other")
    with pytest.raises(UserError, match="no new head of Nova .S.: the picture is already enrolled"):
        enroll(folder, "Nova", "S", new[2:3])
    with pytest.raises(UserError, match="too many pictures of Nova .47 in addition to the 4 enrolled before."):
        enroll(folder, "Nova", "S", new[:1] * 47)
    assert contents(folder) == contents(other)
    remove(folder, "Nova")
    assert contents(folder) == before


def test_heads_that_are_added_count_like_heads_that_came_together(folder, new, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    enroll(folder, "Nova", "", new[:2])
    enroll(folder, "Nova", "", new[2:4])
    enroll(other, "Nova", "", new[:4])
    one, two = (Recognizer.load(path, threads=1).naming for path in (folder, other))
    np.testing.assert_allclose(one.means, two.means, atol=1e-3)


def test_an_enrolled_character_is_renamed_and_its_series_stays(folder, new):
    before = contents(folder)
    enroll(folder, "Nova", "S", new[:2])
    assert rename(folder, "Nova", None, " Stella  Nova ") == "Stella Nova (S)"
    naming = Recognizer.load(folder, threads=1).naming
    assert naming.characters[8:] == [("Stella Nova", "S")] and naming.gallery.characters[16:] == ["Stella Nova"] * 2
    enroll(folder, "Luna", "S", new[2:3])
    after = contents(folder)
    for old, given, says in (("Luna", "Stella Nova", "Stella Nova .S. is already in"), ("Nova", "X", "Nova is not in"),
                             ("Character 1", "X", "Character 1 was trained"), ("Luna", "", "the name is empty")):  # fmt: skip
        with pytest.raises(UserError, match=says):
            rename(folder, old, None, given)
    assert contents(folder) == after
    remove(folder, "Luna")
    remove(folder, "Stella Nova (S)")
    assert contents(folder) == before


def test_a_name_of_another_series_is_another_character(folder, new):
    """Also the name of a trained character; Character 2 has no series."""
    before = contents(folder)
    for number, series in enumerate(("One", "Two")):
        enroll(folder, "Character 2", series, new[number : number + 1])
    recognizer = Recognizer.load(folder, threads=1)
    assert sorted(recognizer.naming.characters[8:]) == [("Character 2", "One"), ("Character 2", "Two")]
    for number, series in enumerate(("One", "Two")):
        (head,) = recognizer.recognize(new[number])
        assert (head.nearest[0].character, head.nearest[0].series) == ("Character 2", series)
    with pytest.raises(UserError, match="Character 2 is ambiguous.* 3 characters, of the series none, '.*': give the"):
        enroll(folder, "Character 2", None, new[4:5])
    with pytest.raises(UserError, match="Character 2 is already in .* as a trained character .no series."):
        enroll(folder, "Character 2", "", new[4:5])
    with pytest.raises(UserError, match="Character 2 is ambiguous, it names 2 characters"):
        remove(folder, "Character 2")
    assert enroll(folder, "Character 2", "Two", new[4:5]).heads_before == 1
    assert rename(folder, "Character 2", "One", "Nova") == "Nova (One)"
    remove(folder, "Character 2")  # the trained one can't be meant
    remove(folder, "Nova", "One")
    assert contents(folder) == before


@pytest.mark.parametrize("given", ["E\u0301mile  X", " \u00c9mile\tX\n", "\u00c9mile X"])
def test_one_name_however_it_is_typed(folder, new, given):
    enroll(folder, "\u00c9mile X", " S ", new[:1])
    result = enroll(folder, given, "S", new[1:2])
    assert (result.character, result.series, result.heads_before) == ("\u00c9mile X", "S", 1)
    remove(folder, given)
    assert len(Recognizer.load(folder, threads=1).naming.characters) == 8


def test_a_name_that_was_enrolled_before_names_were_normalized_can_be_removed(folder):
    before = contents(folder)
    add_character(folder, "\uff2eova", "", np.eye(16, dtype=np.float32)[:1], [draw_head(1, 0)])
    remove(folder, "\uff2eova")
    assert contents(folder) == before


def test_heads_that_the_bundle_has_already_are_left_out_and_their_character_is_named(folder, new, tmp_path):
    enroll(folder, "Nova", "S", new[:3])
    before = contents(folder)
    with pytest.raises(UserError, match=r"no new head of Luna: the bundle has these heads as Nova \(S\) \(2\): give other"):
        enroll(folder, "Luna", "", new[:2])
    assert contents(folder) == before
    mirrored = tmp_path / "mirrored.png"
    Image.open(new[1]).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(mirrored)
    result = enroll(folder, "Luna", "", [new[0], new[3], new[3]])
    assert result.heads == 1 and result.of_others == {"Nova (S)": 1}
    assert (str(new[0]), "the bundle has this head as Nova (S)") in result.left_out
    (trained,) = heads(tmp_path, 0, [0])  # one of the reference heads of Character 0
    with pytest.raises(UserError, match=r"the bundle has these heads as Character 0 \(1\)"):
        enroll(folder, "Luna", "", [trained])


def test_a_character_that_was_not_enrolled_cannot_be_removed(folder):
    before = contents(folder)
    with pytest.raises(UserError, match="Character 3 was trained, not enrolled, and can't be removed or renamed"):
        remove(folder, "Character 3")
    with pytest.raises(UserError, match="Nobody is not in the bundle; enrolled in .*: none"):
        remove(folder, "Nobody")
    assert contents(folder) == before


def test_duplicates_broken_files_and_pictures_without_a_head_are_pointed_out(folder, new, tmp_path):
    twin = shutil.copy(new[0], tmp_path / "twin.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    draw_head(0, 0).resize((192, 192)).point(lambda v: 255).save(tmp_path / "white.png")
    given = [new[0], Path(twin), tmp_path / "broken.png", tmp_path / "white.png", tmp_path / "missing.png"]
    result = enroll(folder, "Nova", "", given)
    assert result.heads == 1
    why = {Path(name).name: text for name, text in result.left_out}
    assert set(why) == {"twin.png", "broken.png", "white.png", "missing.png"}
    assert why["twin.png"] == f"duplicate of {new[0]}" and why["white.png"] == "no head found"


def test_heads_that_look_like_a_known_character_are_pointed_out(folder, tmp_path):
    recognizer = Recognizer.load(folder, threads=1)
    known = [path for character in range(8) for path in heads(tmp_path / "old", character, range(6, 12))]
    sure = [path for path in known for found in [recognizer.recognize(path)]
            if len(found) == 1 and found[0].candidates[0].probability >= 0.5 * (1 - found[0].nobody)
            and found[0].verdict != "unknown"]  # fmt: skip
    assert sure, "the small bundle is sure of nobody"
    result = enroll(folder, "Copy", "", sure[:2])
    assert [name for name, _ in result.look_alikes] == [str(path) for path in sure[:2]]


def test_leftovers_of_an_interrupted_enrollment_do_no_harm(folder, new):
    before = Recognizer.load(folder, threads=1).naming.characters
    enroll(folder, "Nova", "", new[:1])
    # as if the listing had never been written
    listing = folder / "bundle.json"
    after = listing.read_bytes()
    remove(folder, "Nova")
    clean = listing.read_bytes()
    listing.write_bytes(after)
    with pytest.raises(UserError, match="missing"):
        Recognizer.load(folder)
    listing.write_bytes(clean)
    (folder / "enrolled" / "x.part").mkdir(parents=True)
    assert Recognizer.load(folder, threads=1).naming.characters == before
    assert enroll(folder, "Nova", "", new[:1]).heads == 1


def test_two_enrollments_at_once_are_both_kept(folder, new):
    threads = [threading.Thread(target=enroll, args=(folder, name, "", [path])) for name, path in zip("ABCD", new)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name for name, _ in Recognizer.load(folder, threads=1).naming.characters} >= set("ABCD")


def test_new_files_come_first_the_listing_is_switched_last_and_old_files_go_after_that(folder, new, monkeypatch):
    enroll(folder, "Nova", "", new[:1])
    (old,) = read_bundle(folder).enrolled
    seen = []

    def watched(path: Path, source: dict, files: list[str], version: int) -> None:
        assert all((path / name).is_file() for name in files) and (seen or old.is_dir())
        read_bundle(path)
        write_listing(path, source, files, version)
        read_bundle(path)
        seen.append(old.is_dir())

    monkeypatch.setattr("crystal_eyes.recognizer.bundle.write_listing", watched)
    enroll(folder, "Nova", "", new[1:2])
    rename(folder, "Nova", None, "Luna")
    remove(folder, "Luna")
    assert seen == [True, False, False] and not (folder / "enrolled").exists()


@pytest.mark.parametrize("change", ["add", "new", "rename"])
def test_a_change_that_fails_leaves_the_bundle_as_it_was(folder, new, monkeypatch, change):
    enroll(folder, "Nova", "", new[:1])
    before = contents(folder)

    def full(*_) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("crystal_eyes.recognizer.bundle.write_listing", full)
    with pytest.raises(OSError, match="No space left"):
        if change == "rename":
            rename(folder, "Nova", "", "Luna")
        else:
            enroll(folder, "Nova" if change == "add" else "Luna", "", new[1:2])
    assert contents(folder) == before and read_bundle(folder)
