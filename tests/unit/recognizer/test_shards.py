"""A gallery of several shards answers as one does, and takes over the shards of other machines whole or not at all."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crystal_eyes import vectors
from crystal_eyes.cli import main
from crystal_eyes.errors import UserError
from crystal_eyes.recognizer import Recognizer, adopting, enrolled_files, stored
from crystal_eyes.recognizer.adopting import adopt
from crystal_eyes.recognizer.bulk import enroll_dataset
from crystal_eyes.recognizer.bundle import LISTING, read_bundle
from crystal_eyes.recognizer.enrolled_files import count_enrolled, enrolled_characters
from crystal_eyes.recognizer.enrollment import enroll, remove, rename
from crystal_eyes.recognizer.naming import Naming
from crystal_eyes.recognizer.shard import NewCharacter, Shard, empty_shard
from crystal_eyes.recognizer.stored import create_stored, encoder_of, next_folder, open_stored
from tests.unit.recognizer.test_stored import WHOM, draw, made_up


@pytest.fixture
def folder(bundle_folder, tmp_path) -> Path:
    return shutil.copytree(bundle_folder, tmp_path / "bundle")


@pytest.fixture
def dataset(tmp_path) -> Path:
    for name, number in WHOM.items():
        draw(tmp_path / "dataset" / name, number, range(3))
    return tmp_path / "dataset"


def dimensions_of(folder: Path) -> int:
    return np.load(folder / "means.npy").shape[1]


def in_shards(source: Path, folder: Path, characters: list[NewCharacter], shards: list[int]) -> Naming:
    """The naming of a copy of a bundle with each character in the shard of this number."""
    shutil.copytree(source, folder)
    gallery = create_stored(read_bundle(folder), dimensions_of(folder))
    for number in range(max(shards) + 1):
        if number:
            gallery._begin()
        gallery.put([one for one, its in zip(characters, shards) if its == number])
    assert len(read_bundle(folder).many) == max(shards) + 1
    return Naming(read_bundle(folder), threads=1)


@pytest.mark.parametrize(("shards", "candidates", "seed"), [(2, 60, 0), (5, 60, 1), (5, 60, 2), (2, 10_000, 3), (5, 10_000, 4)])
def test_an_answer_does_not_depend_on_the_shards(bundle_folder, tmp_path, monkeypatch, shards, candidates, seed):
    rng = np.random.default_rng(seed)
    characters = made_up(150, dimensions_of(bundle_folder), seed)
    for number in range(0, 150, 3):  # as near as others, to the last bit
        characters[number] = replace(characters[number], embeddings=characters[number - number % 30].embeddings)
    (trained, series), *_ = read_bundle(bundle_folder).characters  # which are left out
    characters[7] = replace(characters[7], character=trained, series=series)
    order = rng.permutation(150)
    queries = np.stack([characters[number].embeddings[0] for number in range(0, 60, 5)])
    queries += 0.1 * rng.standard_normal(queries.shape).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    monkeypatch.setattr(vectors, "CANDIDATES", candidates)
    monkeypatch.setattr(stored, "COMPARED", 20)
    monkeypatch.setattr(stored, "NEAREST", 5)
    one = in_shards(bundle_folder, tmp_path / "one", characters, [0] * 150)
    places = [*range(shards), *rng.integers(0, shards, 150 - shards)]
    several = in_shards(bundle_folder, tmp_path / "several", [characters[number] for number in order], places)
    for some in (queries, queries[:1]):
        expected, found = (naming(some, np.zeros(len(some), bool)) for naming in (one, several))
        assert [str(known) for known in found.stored.known] == [str(known) for known in expected.stored.known]
        assert found.stored.others.shape == expected.stored.others.shape
        for name in ("probabilities", "p_values", "stranger_shares", "others", "to_gallery"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        np.testing.assert_array_equal(one.labels(expected), several.labels(found))
    assert found.stored.others.shape[1] > 0 and str(characters[7].character) not in [
        one.character for one in found.stored.known
    ]
    near = [[str(known) for known in naming.stored.near(characters[3].embeddings[0], 0.9)] for naming in (one, several)]
    assert near[0] == near[1] and len(near[0]) >= 10


def test_changes_reach_the_shard_of_their_character(folder, dataset, monkeypatch):
    monkeypatch.setattr(stored, "FULL", 2)
    monkeypatch.setattr(enrolled_files, "MOST_FOLDERS", 0)
    for name in WHOM:
        enroll(folder, name, None, [dataset / name / "0.png"], head=True)
    gallery = open_stored(read_bundle(folder))
    assert gallery and [len(shard) for shard in gallery.shards] == [2, 2] and len(gallery) == 4
    assert enroll(folder, "Nova", None, [dataset / "Nova" / "1.png"], head=True).heads_before == 1
    with pytest.raises(UserError, match="the bundle has these heads as Nova"):
        enroll(folder, "Sol", None, [dataset / "Nova" / "0.png"], head=True)
    rename(folder, "Stella", None, "Star")
    with pytest.raises(UserError, match="Star is already in"):
        rename(folder, "Sol", None, "Star")
    remove(folder, "Luna")
    assert [(str(one), one.heads) for one in gallery.known()] == [("Nova", 2), ("Star", 1), ("Sol", 1)]
    enroll(folder, "Luna", None, [dataset / "Luna" / "1.png"], head=True)
    assert [len(shard) for shard in gallery.shards] == [2, 2]  # where there was room
    (head,) = Recognizer.load(folder, threads=1).recognize(dataset / "Stella" / "0.png", head=True)
    assert head.nearest[0].character == "Star" and head.nearest[0].thumbnail
    one = next(gallery.known())
    assert gallery.having(gallery.pictures_of(one)[0][1]) == ("Nova", "") and len(gallery.embeddings_of(one)) == 2


def test_a_dataset_fills_shards_and_is_not_looked_at_again(folder, dataset, monkeypatch):
    monkeypatch.setattr(stored, "FULL", 3)
    assert enroll_dataset(folder, dataset, head=True).added == 4
    assert [len(shard) for shard in open_stored(read_bundle(folder)).shards] == [3, 1]
    assert enroll_dataset(folder, dataset, head=True).unchanged == 4
    remove(folder, "Nova")
    report = enroll_dataset(folder, dataset, head=True)
    assert (report.added, report.unchanged) == (1, 3)


def test_a_listing_with_one_gallery_of_format_1_is_read_and_written_on(folder):
    bundle = read_bundle(folder)
    shard = empty_shard(next_folder(bundle), encoder_of(bundle), dimensions_of(folder))
    shard.db.execute("UPDATE meta SET value = 1 WHERE key = 'format'")
    shard.close()
    listing = json.loads((folder / LISTING).read_text("utf-8"))
    (folder / LISTING).write_text(json.dumps(listing | {"many": shard.folder.name}), "utf-8")
    characters = made_up(9, dimensions_of(folder))
    gallery = open_stored(read_bundle(folder))
    gallery.put(characters[:6])
    gallery._begin()
    gallery.put(characters[6:])
    assert len(read_bundle(folder).many) == 2 and not list(shard.folder.glob("points*"))
    naming = Recognizer.load(folder, threads=1).naming
    found = naming(np.stack([one.embeddings[0] for one in characters]), np.zeros(9, bool))
    nearest = [naming.who(found, label).character for label in naming.labels(found)[found.to_gallery.argmax(axis=1)]]
    assert nearest == [one.character for one in characters]


# shards of other machines


@pytest.fixture
def machines(folder, tmp_path, dataset) -> list[Path]:
    """Two copies of the bundle, with two characters enrolled into each, on other machines."""
    copies = []
    for number, names in enumerate((("Nova", "Stella"), ("Luna", "Sol"))):
        copies.append(shutil.copytree(folder, tmp_path / f"machine{number}"))
        for name in names:
            shutil.copytree(dataset / name, tmp_path / f"part{number}" / name)
        enroll_dataset(copies[-1], tmp_path / f"part{number}", head=True)
    return copies


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_bundles_filled_on_other_machines_are_put_together(folder, machines, dataset, capsys):
    before = [contents(machine) for machine in machines]
    third = shutil.copytree(folder, folder.with_name("third"))
    enroll(third, "Extra", None, draw(dataset.with_name("extra"), 20, range(1)), head=True)  # in a folder of its own
    assert main(["enroll", "--bundle", str(folder), "--from", str(machines[0])]) == 0
    assert f"2 characters were added to {folder} from 6 heads of {machines[0]}" in capsys.readouterr().out
    (gallery,) = read_bundle(machines[1]).many
    for source in (gallery, third, machines[1]):
        assert main(["enroll", "--bundle", str(folder), "--from", str(source)]) == 0
    out = capsys.readouterr().out
    assert f"from 6 heads of {gallery}" in out and f"from 1 head of {third}" in out
    assert f"nothing was added to {folder}: all 2 characters of {machines[1]} were there before" in out
    assert sorted(one.character for one in enrolled_characters(read_bundle(folder))) == ["Extra", *sorted(WHOM)]
    assert len(read_bundle(folder).many) == 3 and not list(folder.glob("*.part"))
    recognizer = Recognizer.load(folder, threads=1)
    for name in WHOM:
        assert recognizer.recognize(dataset / name / "2.png", head=True)[0].nearest[0].character == name
    assert enroll_dataset(folder, dataset, head=True).unchanged == 0  # it is another folder
    assert count_enrolled(read_bundle(folder)) == 5 and contents(machines[0]) == before[0]


def test_what_can_not_be_put_together_is_one_line_and_changes_nothing(folder, machines, dataset, tmp_path, capsys):
    enroll_dataset(folder, dataset.parent / "part0", head=True)
    remove(folder, "Nova")
    enroll(folder, "Nova", None, draw(tmp_path / "other", 21, range(2)), head=True)
    trained = read_bundle(folder).characters[0][0]
    before = contents(folder)

    def refused(source: Path, why: str) -> None:
        assert main(["enroll", "--bundle", str(folder), "--from", str(source)]) == 1
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("crystal-eyes")]
        assert len(lines) == 1 and why in lines[0], lines
        assert contents(folder) == before

    refused(machines[0], f"Nova is in {machines[0]} and, from other heads, in {folder}: rename or remove")
    refused(folder, "belongs to")
    (gallery,) = read_bundle(machines[1]).many
    shutil.copytree(gallery, tmp_path / "short")
    for name in ("embeddings.int8", "points-embeddings.int8", "points.f32"):
        data = (tmp_path / "short" / name).read_bytes()
        (tmp_path / "short" / name).write_bytes(data[:-1])
        refused(tmp_path / "short", "is not complete")
        (tmp_path / "short" / name).unlink()
        refused(tmp_path / "short", "is not complete")
        (tmp_path / "short" / name).write_bytes(data)
    database = tmp_path / "short" / "characters.db"
    data = database.read_bytes()
    database.write_bytes(data[: len(data) // 2])
    refused(tmp_path / "short", "characters.db can't be read")
    database.write_bytes(data[: len(data) // 2] + bytes(4096) + data[len(data) // 2 + 4096 :])
    refused(tmp_path / "short", "copy it again")
    database.write_bytes(data)
    one = Shard(tmp_path / "short")
    one.rename(1, trained)
    refused(tmp_path / "short", f"{trained} is in")
    one.db.execute("UPDATE meta SET value = 'another' WHERE key = 'encoder'")
    refused(tmp_path / "short", "was made with the encoder another")


def test_an_adoption_that_is_interrupted_changes_nothing_and_can_be_repeated(folder, machines, monkeypatch):
    before = contents(folder)
    monkeypatch.setattr(adopting.Bundle, "use_many", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        adopt(folder, machines[0])
    assert read_bundle(folder).many == [] and contents(folder).items() >= before.items()
    monkeypatch.undo()
    assert adopt(folder, machines[0]).characters == 2
    assert adopt(folder, machines[1]).characters == 2
    assert adopt(folder, machines[1]).before == 2
    assert [len(shard) for shard in open_stored(read_bundle(folder)).shards] == [2, 2]
