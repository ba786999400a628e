"""Groups of a collection: listed, named, merged, split, and put into folders."""

import json
import shutil

import numpy as np
import pytest

from crystal_eyes import cli
from crystal_eyes.collection import Collection
from crystal_eyes.collection import groups as module
from crystal_eyes.collection.folders import NO_GROUP, export, safe_name
from crystal_eyes.errors import UserError
from tests.unit.collection.conftest import draw

CHARACTERS, PICTURES = 3, 4


@pytest.fixture
def collection(tmp_path, recognizer, monkeypatch):
    """Twelve heads of three characters. The tests' encoder is untrained: its embeddings are replaced by what a trained one
    gives."""
    for character in range(CHARACTERS):
        for number in range(PICTURES):
            draw(tmp_path / "pictures" / f"{character} {number}.png", character, number)

    with Collection.open(tmp_path / "collection", recognizer, create=True) as opened:
        opened.add([tmp_path / "pictures"], print)
        monkeypatch.setattr(module, "_Heads", trained(module._Heads))
        yield opened


def trained(heads):
    class Trained(heads):
        def __init__(self, collection):
            super().__init__(collection)
            width = self.embeddings.shape[1]
            directions, rng = np.eye(width, dtype=np.float32), np.random.default_rng(0)
            numbers = [int(place.file.name.split()[0]) for place in self.places]
            self.embeddings = directions[numbers] + 0.05 * rng.normal(size=(len(numbers), width)).astype(np.float32)
            self.embeddings /= np.linalg.norm(self.embeddings, axis=1, keepdims=True)

    return Trained


def names(group) -> set[str]:
    return {place.file.name for place in group.places}


def test_every_character_is_a_group_with_a_suggestion(collection):
    found = collection.groups().all()
    assert [len(group.heads) for group in found] == [PICTURES] * CHARACTERS
    for group in found:
        assert len({name[0] for name in names(group)}) == 1
        assert group.number == group.heads.min() and group.suggestion and 0 <= group.probability <= 1
        assert (np.diff(group.likeness) <= 0).all() and group.name == ""


def test_a_name_is_kept_when_the_file_is_moved_and_indexed_again(collection, tmp_path):
    first = collection.groups().all()[0]
    assert collection.groups(again=False).name(first.number, " Hatsune  Miku ", "Vocaloid").name == "Hatsune Miku"
    shutil.move(tmp_path / "pictures", tmp_path / "elsewhere")
    collection.add([tmp_path / "elsewhere"], print)
    collection.forget([tmp_path / "pictures"])
    (named,) = [group for group in collection.groups().all() if group.name]
    assert (named.name, named.series) == ("Hatsune Miku", "Vocaloid") and names(named) == names(first)


def test_two_groups_of_one_name_are_one_character(collection):
    groups = collection.groups()
    one, two, _ = groups.all()
    groups.name(one.number, "Miku")
    groups.name(two.number, "Miku")
    assert sorted(len(group.heads) for group in collection.groups().all()) == [4, 8]


def test_merged_groups_stay_merged_and_take_a_name_afterwards(collection):
    groups = collection.groups()
    one, two, three = groups.all()
    assert len(groups.merge([one.number, two.number]).heads) == 8
    merged = collection.groups().all()[0]
    assert names(merged) == names(one) | names(two) and merged.name == ""
    groups = collection.groups(again=False)
    groups.name(one.number, "Miku")
    groups.name(three.number, "Rin")
    assert {(group.name, len(group.heads)) for group in collection.groups().all()} == {("Miku", 8), ("Rin", 4)}
    with pytest.raises(UserError, match="have different names"):
        groups.merge([one.number, three.number])
    before = groups.decided.copy()
    for alone in ([three.number], [three.number, int(three.heads[1])]):
        with pytest.raises(UserError, match=f"group {three.number} can't be merged alone: give another group"):
            groups.merge(alone)
    assert (groups.decided == before).all()


def test_copies_of_a_picture_are_split_off_together_or_not_at_all(collection, tmp_path):
    shutil.copy(tmp_path / "pictures" / "0 0.png", tmp_path / "pictures" / "0 copy.png")
    for name in ("7 0.png", "7 1.png"):
        shutil.copy(tmp_path / "pictures" / "1 0.png", tmp_path / "pictures" / name)
    collection.add([tmp_path / "pictures"], print)
    groups = collection.groups()
    mixed, copies = (next(one for one in groups.all() if names(one) >= {name}) for name in ("0 copy.png", "7 0.png"))
    before = groups.decided.copy()
    with pytest.raises(UserError, match="holds nothing else than copies of these heads"):
        groups.split([int(copies.heads[0])])
    assert (groups.decided == before).all()
    head = next(int(id) for id, place in zip(mixed.heads, mixed.places) if place.file.name == "0 0.png")
    assert names(groups.split([head])) == {"0 0.png", "0 copy.png"}
    assert {"0 1.png", "0 2.png", "0 3.png"} in [names(one) for one in groups.all()]


def test_heads_that_are_split_off_stay_apart(collection):
    groups = collection.groups()
    one, two, _ = groups.all()
    away = [int(head) for head in one.heads[:2]]
    assert len(groups.split(away).heads) == 2
    sizes = sorted(len(group.heads) for group in collection.groups().all())
    assert sizes == [2, 2, 4, 4]
    for heads, why in (([*away, int(two.heads[0])], "in several groups"), (away, "all heads"), ([999], "has no head 999")):
        with pytest.raises(UserError, match=why):
            groups.split(heads)


def test_groups_are_not_found_again_for_a_change_unless_heads_were_added(collection, tmp_path, monkeypatch):
    collection.groups()
    calls = []
    monkeypatch.setattr(module, "group", lambda *given: calls.append(1) or np.zeros(len(given[0]), int))
    collection.groups(again=False)
    assert not calls
    draw(tmp_path / "pictures" / "0 9.png", 0, 9)
    collection.add([tmp_path / "pictures"], print)
    collection.groups(again=False)
    assert calls


def test_pictures_are_put_into_a_folder_for_each_group_and_nothing_is_overwritten(collection, tmp_path):
    groups = collection.groups()
    groups.name(groups.all()[0].number, "../Miku: one?")
    to = tmp_path / "sorted"
    (to / "_Miku_ one_").mkdir(parents=True)
    (to / "_Miku_ one_" / "0 0.png").write_bytes(b"mine")
    done = export(groups.all(), [], to, link=False)
    assert (done.written, done.present, done.problems) == (12, 0, [])
    assert (to / "_Miku_ one_" / "0 0.png").read_bytes() == b"mine"
    assert {path.name for path in (to / "_Miku_ one_").iterdir()} == {
        "0 0.png", "0 0 (2).png", "0 1.png", "0 2.png", "0 3.png",
    }  # fmt: skip
    again = export(groups.all(), [], to, link=False)
    assert (again.written, again.present) == (12, 12)
    assert not [path for path in tmp_path.rglob("*Miku*") if to not in path.parents]


@pytest.mark.parametrize("link", [False, True])
def test_a_picture_that_can_not_be_read_does_not_keep_the_others_from_their_folders(collection, tmp_path, link):
    (tmp_path / "pictures" / "0 1.png").unlink()
    (tmp_path / "pictures" / "0 1.png").symlink_to("0 1.png")
    done = export(collection.groups().all(), [], tmp_path / "sorted", link)
    assert done.written == 11 and done.problems == [f"{tmp_path / 'pictures' / '0 1.png'}: Too many levels of symbolic links"]
    assert len(list((tmp_path / "sorted").rglob("*.png"))) == 11


def test_links_lead_to_the_pictures_and_missing_ones_are_named(collection, tmp_path):
    (tmp_path / "pictures" / "0 0.png").unlink()
    found = collection.groups().all()
    done = export(found, [found[0].places[-1]], tmp_path / "sorted", link=True)
    links = list((tmp_path / "sorted").rglob("*.png"))
    assert all(path.is_symlink() and path.exists() for path in links)
    assert (tmp_path / "sorted" / NO_GROUP).is_dir()
    assert {line for line in done.problems if "0 0.png: it is not there any more" in line} == set(done.problems) != set()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a/b", "a_b"),
        ("..", "_"),
        ("", "_"),
        ("NUL", "_NUL"),
        ("con.x", "_con.x"),
        ("Re:Zero. ", "Re_Zero"),
        ("初音ミク", "初音ミク"),
    ],
)
def test_names_of_folders_are_safe(text, name):
    assert safe_name(text) == name


def test_long_names_are_cut_at_a_letter():
    assert safe_name("ミ" * 100) == "ミ" * 50


def test_the_command_lists_names_and_enrolls(collection, tmp_path, bundle_folder, capsys):
    bundle = tmp_path / "bundle"
    shutil.copytree(bundle_folder, bundle)
    base = ["group", str(collection.folder), "--bundle", str(bundle)]
    assert cli.main([*base, "--json"]) == 0
    said = capsys.readouterr()
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert sum("the thresholds for groups were chosen with the encoder" in one for one in said.err.splitlines()) == 1
    assert len(lines) == CHARACTERS + 1 and lines[-1] == {"group": None, "heads": []}
    number = lines[0]["group"]
    assert cli.main([*base, "--name", str(number), "New One", "--series", "Her Game"]) == 0
    said = capsys.readouterr().out
    assert "New One, Her Game" in said
    assert cli.main([*base, "--to", str(tmp_path / "sorted")]) == 0
    assert (tmp_path / "sorted" / "New One").is_dir() and "12 pictures" in capsys.readouterr().out
    for wrong in (
        ["--link"],
        ["--series", "x"],
        ["--name", "x", "y"],
        ["--to", str(collection.folder)],
        ["--merge", "1", "--json"],
        ["--name", "999", "y"],
    ):
        assert cli.main([*base, *wrong]) == 1
        assert len(capsys.readouterr().err.splitlines()) <= 2
