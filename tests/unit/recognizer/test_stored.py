"""Many enrolled characters, kept in a database: the same answers as those in folders, and none of them lost."""

import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crystal_eyes import vectors
from crystal_eyes.cli import main
from crystal_eyes.errors import UserError
from crystal_eyes.recognizer import Recognizer, bulk, enrolled_files, stored
from crystal_eyes.recognizer.bulk import enroll_dataset
from crystal_eyes.recognizer.bundle import copy_bundle, read_bundle
from crystal_eyes.recognizer.calibration import known_probability
from crystal_eyes.recognizer.enrolled_files import count_enrolled, enrolled_characters
from crystal_eyes.recognizer.enrollment import enroll, remove, rename
from crystal_eyes.recognizer.gallery import thumbnail
from crystal_eyes.recognizer.shard import NewCharacter
from crystal_eyes.recognizer.stored import create_stored, open_stored
from tests.bundles import add_line_noise
from tests.runs import draw_head

WHOM = {"Nova": 9, "Stella": 10, "Luna": 11, "Sol": 12}


@pytest.fixture
def folder(bundle_folder, tmp_path) -> Path:
    return shutil.copytree(bundle_folder, tmp_path / "bundle")


@pytest.fixture
def few_folders(monkeypatch) -> None:
    monkeypatch.setattr(enrolled_files, "MOST_FOLDERS", 1)


@pytest.fixture
def dataset(tmp_path) -> Path:
    """A folder per character, with four heads each."""
    for name, number in WHOM.items():
        draw(tmp_path / "dataset" / name, number, range(4))
    return tmp_path / "dataset"


def draw(folder: Path, character: int, numbers) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        draw_head(character, number).resize((192, 192)).save(folder / f"{number}.png")
    return [folder / f"{number}.png" for number in numbers]


def enrolled(folder: Path) -> list[tuple[str, int]]:
    return [(one.character, one.heads or 0) for one in enrolled_characters(read_bundle(folder))]


def made_up(count: int, dimensions: int, seed: int = 0) -> list[NewCharacter]:
    rng, picture = np.random.default_rng(seed), thumbnail(Image.new("RGB", (32, 32), "red"))
    characters = []
    for number in range(count):
        heads = rng.standard_normal(dimensions) + 0.3 * rng.standard_normal((1 + number % 3, dimensions))
        heads = (heads / np.linalg.norm(heads, axis=1, keepdims=True)).astype(np.float32)
        characters.append(NewCharacter(f"C{number}", f"S{number % 7}", ["a.png"] * len(heads), heads, [picture] * len(heads)))
    return characters


def test_answers_are_the_same_whether_characters_are_in_folders_or_stored(folder, tmp_path, dataset, monkeypatch):
    other = shutil.copytree(folder, tmp_path / "other")
    for name in WHOM:
        enroll(folder, name, "S", sorted((dataset / name).iterdir())[:3], head=True)
    monkeypatch.setattr(enrolled_files, "MOST_FOLDERS", 1)
    for name in WHOM:
        enroll(other, name, "S", sorted((dataset / name).iterdir())[:3], head=True)
    assert len(read_bundle(folder).enrolled) == 4 and len(read_bundle(other).enrolled) == 1
    in_folders, in_store = Recognizer.load(folder, threads=1), Recognizer.load(other, threads=1)
    pictures = [path for name in WHOM for path in sorted((dataset / name).iterdir())] + draw(tmp_path / "more", 3, range(4))
    for path in pictures:
        (expected,), (found,) = in_folders.recognize(path, head=True), in_store.recognize(path, head=True)
        assert [one.character for one in found.candidates] == [one.character for one in expected.candidates]
        assert [one.thumbnail for one in found.nearest] == [one.thumbnail for one in expected.nearest]
        numbers = [[value for value in asdict(one).values() if isinstance(value, float)] for one in (found, expected)]
        assert numbers[0] == pytest.approx(numbers[1], abs=1e-6)
        assert [one.probability for one in found.candidates] == pytest.approx([one.probability for one in expected.candidates])
        assert (found.verdict, found.series.name) == (expected.verdict, expected.series.name)
        assert found.series.probability == pytest.approx(expected.series.probability, abs=1e-6)


@pytest.mark.parametrize(("searched", "line_noise"), [(400, False), (900, False), (900, True)])
def test_many_characters_are_searched_as_if_each_were_compared(folder, monkeypatch, searched, line_noise):
    if line_noise:
        add_line_noise(folder)
    monkeypatch.setattr(vectors, "CANDIDATES", searched)
    monkeypatch.setattr(stored, "COMPARED", 64)
    recognizer = Recognizer.load(folder, threads=1)
    dimensions = recognizer.embed([]).shape[1]
    characters = made_up(900, dimensions)
    create_stored(recognizer.bundle, dimensions).put(characters)
    naming = Recognizer.load(folder, threads=1).naming
    rng = np.random.default_rng(1)
    queries = np.stack([characters[row].embeddings[0] for row in rng.integers(0, 900, 20)])
    queries += 0.1 * rng.standard_normal(queries.shape).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    line = np.arange(20) % 2 == 0
    answers = naming(queries, line)
    noise = naming.enrolled_logits.line_noise
    for row, query in enumerate(queries):
        logits = list(naming.evidence(query[None], line[row : row + 1]).logits[0])
        p_values, shares = [], []
        cohort = np.sort(naming.means[: naming.trained] @ query)[::-1][:10].mean()
        for one in characters:
            heads = one.embeddings.astype(np.float16).astype(np.float32)
            mean = heads.mean(axis=0) / np.linalg.norm(heads.mean(axis=0))
            layer = naming.enrolled_logits.layer(heads.mean(axis=0)[None], np.array([len(heads)]))
            if noise and line[row]:
                logits.append(float(layer.weight[0] @ noise.adapted(query[None])[0] + layer.line_bias[0]))
            else:
                logits.append(float(layer.weight[0] @ query + layer.bias[0]))
            p, share = naming.enrolled_unlikeness(
                (mean @ query)[None], (heads @ query)[None], cohort[None], line[row : row + 1]
            )
            p_values.append(p[0])
            shares.append(share[0])
        calibration = naming.line if line[row] else naming.color
        expected = calibration.probabilities(np.array(logits)[None])[0]
        p_value = max([*p_values, calibration.p_values(answers.unlikeness[row : row + 1])[0]])
        assert answers.p_values[row] == pytest.approx(p_value)
        first = int(expected.argmax()) - naming.trained
        if first >= 0:
            assert answers.stranger_shares[row] == pytest.approx(1 - (1 - shares[first]) ** 900)
        expected *= known_probability(answers.p_values[row], answers.stranger_shares[row])
        best = np.argsort(-expected)[:5]
        names = [*naming.characters, *((one.character, one.series) for one in characters)]
        mine = np.argsort(-answers.probabilities[row])[:5]
        found = [naming.who(answers, label) for label in mine]
        assert [(one.character, one.series) for one in found] == [names[label] for label in best]
        if searched == 900:  # else the others count as nobody
            assert answers.probabilities[row][mine] == pytest.approx(expected[best], rel=0.02)
        alone = naming(query[None], line[row : row + 1])  # an answer does not depend on the other heads
        assert alone.probabilities.max() == pytest.approx(answers.probabilities[row].max(), rel=1e-5)


def test_stored_characters_get_more_heads_and_other_names_and_are_removed(folder, dataset, few_folders):
    for name in WHOM:
        enroll(folder, name, None, [dataset / name / "0.png", dataset / name / "1.png"], head=True)
    assert sorted(enrolled(folder)) == sorted((name, 2) for name in WHOM)
    result = enroll(folder, "Stella", None, [dataset / "Stella" / "1.png", dataset / "Stella" / "2.png"], head=True)
    assert (result.heads_before, result.heads) == (2, 1) and result.left_out[0][1] == "already enrolled"
    with pytest.raises(UserError, match="the bundle has these heads as Luna"):
        enroll(folder, "Sol", None, [dataset / "Luna" / "0.png"], head=True)
    assert rename(folder, "Luna", None, "Moon") == "Moon"
    with pytest.raises(UserError, match="Moon is already in"):
        rename(folder, "Sol", None, "Moon")
    remove(folder, "Sol")
    with pytest.raises(UserError, match="Sol is not in the bundle; enrolled in .*: Nova, Stella, Moon"):
        remove(folder, "Sol")
    assert enrolled(folder) == [("Nova", 2), ("Stella", 3), ("Moon", 2)]
    (head,) = Recognizer.load(folder, threads=1).recognize(dataset / "Luna" / "0.png", head=True)
    assert "Moon" in [one.character for one in head.candidates] and head.nearest[0].character == "Moon"


def test_an_open_recognizer_knows_at_once_what_another_process_stores(folder, dataset, few_folders):
    for name in ("Nova", "Stella"):
        enroll(folder, name, None, sorted((dataset / name).iterdir()), head=True)
    recognizer = Recognizer.load(folder, threads=1)
    enroll(folder, "Luna", None, sorted((dataset / "Luna").iterdir()), head=True)
    assert recognizer.recognize(dataset / "Luna" / "0.png", head=True)[0].nearest[0].character == "Luna"
    remove(folder, "Luna")
    assert "Luna" not in [one.character for one in recognizer.recognize(dataset / "Luna" / "0.png", head=True)[0].nearest]


def test_a_change_that_fails_changes_nothing(folder):
    gallery = create_stored(read_bundle(folder), 16)
    gallery.put(made_up(3, 16))
    with pytest.raises(UserError, match="C2 .S2. is already in"):
        gallery.put(made_up(5, 16, seed=1)[::-1])
    with pytest.raises(Exception, match="UNIQUE"):
        gallery.put([*made_up(5, 16)[3:], made_up(4, 16, seed=1)[3]])
    assert len(gallery) == 3 and enrolled(folder) == [("C0", 1), ("C1", 2), ("C2", 3)]
    one = np.eye(16, dtype=np.float32)[:1]
    assert len(gallery.shortlist(one, one, np.zeros(1, bool)).known) == 3


def test_a_copy_of_a_bundle_has_the_stored_characters_too(folder, tmp_path):
    gallery = create_stored(read_bundle(folder), 16)
    gallery.put(made_up(30, 16))
    copy_bundle(folder, tmp_path / "copy")
    gallery.remove(next(gallery.known()))
    assert (count_enrolled(read_bundle(folder)), count_enrolled(read_bundle(tmp_path / "copy"))) == (29, 30)
    Recognizer.load(tmp_path / "copy", threads=1)


def test_stored_characters_of_another_encoder_are_one_line(folder):
    create_stored(read_bundle(folder), 16).put(made_up(3, 16))
    gallery = open_stored(read_bundle(folder))
    assert gallery
    gallery.shards[0].db.execute("UPDATE meta SET value = 'another' WHERE key = 'encoder'")
    with pytest.raises(UserError, match="was made with the encoder another, this bundle has"):
        Recognizer.load(folder, threads=1)


@pytest.mark.parametrize("name", ["embeddings.int8", "sketches.bin", "points-embeddings.int8", "points.f32"])
def test_a_file_that_is_missing_is_named_when_the_bundle_is_opened(folder, name):
    gallery = create_stored(read_bundle(folder), 16)
    gallery.put(made_up(3, 16))
    (gallery.shards[0].folder / name).unlink()
    with pytest.raises(UserError, match=f"/{name} .No such file or directory. can't be read: restore it"):
        Recognizer.load(folder, threads=1)


def test_a_dataset_is_enrolled_and_looked_at_again_only_where_it_changed(folder, dataset, monkeypatch):
    report = enroll_dataset(folder, dataset, head=True)
    assert (report.added, report.heads, report.unchanged, report.left_out) == (4, 16, 0, [])
    assert sorted(enrolled(folder)) == sorted((name, 4) for name in WHOM)
    draw(dataset / "Nova", WHOM["Nova"], [4])
    draw(dataset / "Character 1", 20, [0])
    shutil.copy(dataset / "Luna" / "0.png", dataset / "Sol" / "copy.png")
    looked = []
    monkeypatch.setattr(bulk, "usable", lambda *given, real=bulk.usable: (looked.append(given[3].character), real(*given))[1])
    report = enroll_dataset(folder, dataset, head=True)
    assert sorted(looked) == ["Nova", "Sol"] and (report.added, report.heads, report.unchanged) == (1, 1, 2)
    reasons = {why for _, why in report.left_out}
    assert {"already in the bundle as a trained character", "the bundle has this head as Luna"} <= reasons
    assert sorted(enrolled(folder)) == sorted((name, 4 + (name == "Nova")) for name in WHOM)
    assert Recognizer.load(folder, threads=1).recognize(dataset / "Sol" / "3.png", head=True)[0].nearest[0].character == "Sol"


def test_an_interrupted_dataset_goes_on_and_ends_as_if_it_had_not_been(folder, dataset, monkeypatch):
    monkeypatch.setattr(bulk, "SECONDS", 0.0)
    calls, real = [], bulk.usable

    def interrupted(*given):
        calls.append(given)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(bulk, "usable", interrupted)
    with pytest.raises(KeyboardInterrupt):
        enroll_dataset(folder, dataset, head=True)
    assert len(enrolled(folder)) == 2
    report = enroll_dataset(folder, dataset, head=True)
    assert (report.added, report.unchanged) == (2, 2) and len(enrolled(folder)) == 4


def test_the_command_line_enrolls_lists_and_removes_many(folder, dataset, capsys):
    assert main(["enroll", "--bundle", str(folder), "--from", str(dataset), "--head"]) == 0
    assert "4 characters were added" in capsys.readouterr().out
    assert main(["characters", "--bundle", str(folder), "nova"]) == 0
    assert "Nova, 4 heads, enrolled" in capsys.readouterr().out
    assert main(["enroll", "--bundle", str(folder), "--character", "Nova", "--remove"]) == 0
    capsys.readouterr()
    assert main(["characters", "--bundle", str(folder), "nova"]) == 0
    assert "Nova" not in capsys.readouterr().out
    empty = dataset.with_name("empty")
    empty.mkdir()
    assert main(["enroll", "--bundle", str(folder), "--from", str(empty)]) == 1
    assert "contains no labeled picture" in capsys.readouterr().err
