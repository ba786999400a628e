"""What a search answers, and what the commands print."""

import json

import numpy as np
import pytest
from PIL import Image

from crystal_eyes import cli
from crystal_eyes.collection import Collection
from crystal_eyes.errors import UserError
from tests.unit.collection.conftest import draw


@pytest.fixture
def collection(tmp_path, recognizer, folder):
    with Collection.open(tmp_path / "collection", recognizer, create=True) as opened:
        (folder / "copy.png").write_bytes((folder / "0.png").read_bytes())
        opened.add([folder])
        yield opened


def test_the_order_is_that_of_a_naive_loop_and_copies_are_one_match(collection, folder, recognizer):
    (batch,) = list(collection.batches())
    assert len(collection) == len(batch) == 7
    (answer,) = collection.search(folder / "2.png", 4)
    query = recognizer.embed([answer.head.picture])[0]
    expected = sorted(((float(one @ query), str(place)) for one, place in zip(batch.embeddings, batch.places)), reverse=True)
    distinct = [place for _, place in expected if not place.endswith("copy.png")][:4]
    found = [str(match.place) for match in answer.matches]
    assert [place.replace("copy.png", "0.png") for place in found] == distinct
    assert found[0] == str(folder / "2.png") and answer.matches[0].similarity > 0.99
    (with_copy,) = [match for match in collection.search(folder / "0.png")[0].matches if match.similarity > 0.99]
    assert {str(place) for place in (with_copy.place, *with_copy.also)} == {str(folder / "0.png"), str(folder / "copy.png")}
    likeness = [match.likeness for match in answer.matches]
    assert likeness == sorted(likeness, reverse=True) and all(0 <= one <= 1 for one in likeness)


def test_an_embedding_is_searched_like_the_head_that_it_comes_from(collection, folder, recognizer):
    (by_picture,) = collection.search(folder / "1.png", 3)
    (by_embedding,) = collection.search(recognizer.embed([by_picture.head.picture])[0], 3)
    assert [match.head for match in by_embedding.matches] == [match.head for match in by_picture.matches]
    assert by_embedding.head is None
    with pytest.raises(ValueError, match=r"\[16\]"):
        collection.search(np.zeros(3, np.float32))


def test_a_name_finds_the_pictures_that_the_recognizer_gives_this_name(collection, folder, recognizer):
    for number in range(4):
        draw(folder / f"again{number}.png", 2, 10 + number)
    collection.add([folder])
    wanted = recognizer.recognize(folder / "2.png")[0].candidates[0]
    known, matches = collection.search_name(wanted.character, wanted.series or None, 50)
    assert known.character == wanted.character
    for match in matches:
        (head,) = recognizer.recognize(match.place.file)
        named = {one.character: one.probability for one in head.candidates}
        if wanted.character in named:
            assert match.likeness == pytest.approx(named[wanted.character], abs=0.05)
        is_first = head.candidates[0].character == wanted.character
        assert match.verdict in {("known", True): ("close",), ("unsure", True): ("perhaps",)}.get(
            (head.verdict, is_first), ("unlike", "perhaps")
        )
    probabilities = [match.likeness for match in matches]
    assert probabilities == sorted(probabilities, reverse=True)
    with pytest.raises(UserError, match="no character of the bundle is named Nobody"):
        collection.search_name("Nobody")


def test_an_empty_collection_and_a_picture_without_heads_have_no_matches(tmp_path, recognizer, folder):
    with Collection.open(tmp_path / "empty", recognizer, create=True) as collection:
        assert [one.matches for one in collection.search(folder / "0.png")] == [()]
        assert collection.search(Image.new("RGB", (500, 500), "white")) == []
        assert list(collection.batches()) == []


def test_another_encoder_is_refused_with_the_remedy(collection, recognizer):
    with collection.storage.transaction() as db:
        db.execute("UPDATE meta SET value = 'other' WHERE key = 'encoder'")
    with pytest.raises(UserError, match="was made with the encoder other.*use the bundle it was made with"):
        Collection.open(collection.folder, recognizer)


def test_ids_are_never_given_to_another_head(collection, folder):
    before = {int(id) for batch in collection.batches() for id in batch.ids}
    draw(folder / "2.png", 7, 7)
    collection.add([folder])
    after = {int(id) for batch in collection.batches() for id in batch.ids}
    assert len(after - before) == 1 and after - before > set() and max(after) > max(before)
    assert collection.head(max(before)) is None or max(before) in after
    assert collection.head(10**30) is None and collection.head(0) is None


def test_the_commands_index_search_and_forget(tmp_path, folder, bundle_folder, capsys, monkeypatch):
    monkeypatch.setenv(cli.VARIABLE, str(bundle_folder))
    into, sheet = str(tmp_path / "collection"), tmp_path / "found.png"
    assert cli.main(["index", str(folder), "--into", into]) == 0
    assert "6 pictures added with 6 heads" in capsys.readouterr().out
    query = str(folder / "1.png")
    assert cli.main(["search", query, "--in", into, "--top", "3", "--json", "--sheet", str(sheet)]) == 0
    answer = json.loads(capsys.readouterr().out)
    matches = answer["heads"][0]["matches"]
    assert answer["picture"] == query and len(matches) == 3 and matches[0]["file"] == query
    assert Image.open(sheet).size[0] > 4 * 160
    assert cli.main(["search", query, "--in", into]) == 0
    assert f"similarity 1.00: {query}" in capsys.readouterr().out
    (folder / "1.png").unlink()
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    assert cli.main(["search", str(broken), str(folder / "2.png"), "--in", into, "--sheet", str(sheet)]) == 1
    said = capsys.readouterr()
    assert "not a PNG" in said.out and f"{query}: No such file" in said.err  # its place on the sheet is empty
    assert cli.main(["index", str(folder), "--forget", "--into", into]) == 0
    assert "6 pictures forgotten, 0 heads left" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["search", "--in", "nowhere"], "give pictures to search by, or --name"),
        (["search", "--name", "Nobody", "--in", "nowhere"], "nowhere is not a collection"),
        (["index", "nothing", "--into", "made"], "nothing does not exist"),
        (["index", "--forget", "x", "--into", "nowhere"], "nowhere is not a collection"),
    ],
)
def test_errors_are_one_line(words, error, bundle_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv(cli.VARIABLE, str(bundle_folder))
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == 1
    said = [line for line in capsys.readouterr().err.splitlines() if "using " not in line]
    assert len(said) == 1 and error in said[0]
    assert list(tmp_path.iterdir()) == []
