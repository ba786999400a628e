import hashlib
import shutil
import threading
from pathlib import Path

import pytest

from crystal_eyes.errors import UserError
from crystal_eyes.recognizer import Recognizer
from crystal_eyes.recognizer.enrollment import MAX_HEADS, enroll, remove
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
    after = Recognizer.load(folder, threads=1).naming.evidence(embeddings).logits
    assert (after[:, :-1] == before.naming.evidence(embeddings).logits).all()
    assert after.shape[1] == len(before.naming.characters) + 1


@pytest.mark.parametrize(
    ("name", "pictures", "says"),
    [
        ("", 1, "the name of the character is empty"),
        ("Character 3", 1, "Character 3 is already in .*: choose another name"),
        ("Nova", 0, "no usable head of Nova"),
        ("Nova", MAX_HEADS + 1, f"too many pictures of Nova .{MAX_HEADS + 1}.: choose at most {MAX_HEADS}"),
    ],
)
def test_what_cannot_be_enrolled_is_refused_in_a_line_and_nothing_changes(folder, new, name, pictures, says):
    before = contents(folder)
    with pytest.raises(UserError, match=says):
        enroll(folder, name, "", (new * MAX_HEADS)[:pictures])
    assert contents(folder) == before


def test_a_name_that_was_enrolled_is_refused_a_second_time(folder, new):
    enroll(folder, "Nova", "", new[:1])
    with pytest.raises(UserError, match="Nova is already in"):
        enroll(folder, "Nova", "", new[1:2])


def test_a_character_that_was_not_enrolled_cannot_be_removed(folder):
    before = contents(folder)
    with pytest.raises(UserError, match="Character 3 was trained, not enrolled, and can't be removed"):
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
    known = [path for character in range(8) for path in heads(tmp_path / "old", character, range(6))]
    sure = [path for path in known for found in [recognizer.recognize(path)]
            if len(found) == 1 and found[0].candidates[0].probability >= 0.5]  # fmt: skip
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
