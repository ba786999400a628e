import hashlib
import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crystal_eyes.data import storage
from crystal_eyes.data.catalogue import SCHEMA, TABLE, Catalogue, PictureChanged
from crystal_eyes.data.layouts import dataset_files, load_dataset
from crystal_eyes.data.listing import listed
from crystal_eyes.data.shards import CATALOGUE, HEADS, MANIFEST, SUFFIX, Shard, Shards, encode_pictures, write_manifest
from crystal_eyes.data.storage import Place, StorageError, read_bytes
from crystal_eyes.errors import UserError
from tests.servers import s3

# one inside another, empty, and a length that looks like the start of the next
PICTURES = [b"abc", b"abcabc", b"", b"\x03\x00\x00\x00abc", b"x" * 100_000]
GIVEN = pa.schema([field for field in SCHEMA if field.name not in ("digest", "offset", "length")])


def shard(numbers: range) -> bytes:
    rows = [{"file": f"{number}.png", "character": "c", "series": "", "set": "s", "artwork": "", "monochrome": False,
             "width": 1, "height": 2, "encoder_split": "test", "classifier_split": ""} for number in numbers]  # fmt: skip
    return encode_pictures(pa.Table.from_pylist(rows, GIVEN), [PICTURES[number] for number in numbers])


def written(folder, place: str = "", kind: str = CATALOGUE):
    """A catalogue of two shards."""
    shards = []
    for numbers in (range(3), range(3, 5)):
        data = shard(numbers)
        digest = hashlib.sha256(data).hexdigest()
        shards.append(Shard(digest + SUFFIX, digest, len(data), len(numbers)))
        Place(place or folder).write(shards[-1].file, data)
    write_manifest(folder, kind, place, shards)
    return folder


@pytest.fixture
def folder(tmp_path):
    return written(tmp_path / "catalogue")


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The folder with the bucket `heads` of an S3 server, whose client this process is."""
    (tmp_path / "s3" / "heads").mkdir(parents=True)
    with s3(tmp_path / "s3") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        storage._s3.cache_clear()
        yield tmp_path / "s3" / "heads"
    storage._s3.cache_clear()


def check(catalogue: Catalogue) -> None:
    table = catalogue.table()
    assert list(table.columns) == SCHEMA.names and len(catalogue) == len(PICTURES)
    assert table["file"].tolist() == [f"{number}.png" for number in range(5)]
    assert [catalogue.read(*place) for place in zip(table["offset"], table["length"], table["digest"])] == PICTURES
    assert pa.Table.from_batches(catalogue.batches(2)).to_pandas().equals(table)


def test_a_catalogue_of_shards_reads_like_one_of_a_single_file(folder):
    check(Catalogue(folder))
    assert shard(range(3)) == shard(range(3))
    first = Shards(folder, CATALOGUE).shards[0]
    assert pq.read_table(folder / first.file)["data"].to_pylist() == PICTURES[:3]  # any reader of parquet gets the pictures


def test_damage_in_a_shard_is_detected(folder):
    table, one = Catalogue(folder).table(), Shards(folder, CATALOGUE).shards[1]
    data = bytearray((folder / one.file).read_bytes())
    data[data.index(b"xxx") + 7] ^= 1
    (folder / one.file).write_bytes(data)
    with pytest.raises(PictureChanged):
        Catalogue(folder).read(*table[["offset", "length", "digest"]].iloc[4])
    (folder / one.file).write_bytes(data[:-1])
    with pytest.raises(UserError, match="is damaged, missing or of another run"):
        Catalogue(folder).table()


def test_shards_of_two_runs_are_not_mixed(folder, tmp_path):
    (folder / ("0" * 64 + SUFFIX)).write_bytes(shard(range(1)))
    with pytest.raises(UserError, match="mixes shards of two runs: 1 are not in its shards.json"):
        Catalogue(folder)
    (folder / ("0" * 64 + SUFFIX)).unlink()
    (folder / TABLE).touch()
    with pytest.raises(UserError, match="holds two catalogues"):
        Catalogue(folder)
    (folder / TABLE).unlink()
    (folder / Shards(folder, CATALOGUE).shards[0].file).unlink()
    with pytest.raises(UserError, match="1 of 2 shards are missing"):
        Catalogue(folder)


@pytest.mark.parametrize("text", ["", "{}", "[1]", json.dumps({"format": 1, "kind": CATALOGUE, "place": "", "shards": [{}]})])
def test_a_damaged_manifest_is_one_line(folder, text):
    (folder / MANIFEST).write_text(text)
    with pytest.raises(UserError, match=f"{MANIFEST} can't be read") as caught:
        Catalogue(folder)
    assert "\n" not in str(caught.value)


def test_shards_of_another_kind_are_refused(folder):
    with pytest.raises(UserError, match="lists catalogue in format 1, not heads"):
        load_dataset(folder, 0.0)


def test_shards_can_be_in_s3_and_a_bucket_that_is_gone_is_one_line(server, tmp_path):
    folder = written(tmp_path / "catalogue", "s3://heads/run 1")
    assert [path.name for path in folder.iterdir()] == [MANIFEST]
    catalogue = Catalogue(folder)
    check(catalogue)
    table = catalogue.table()
    server.rename(server.with_name("elsewhere"))
    for read in (lambda: catalogue.read(*table[["offset", "length", "digest"]].iloc[0]), lambda: Catalogue(folder).table()):
        with pytest.raises(UserError, match="s3://heads/run 1") as caught:
            read()
        assert "\n" not in str(caught.value)


def test_a_dataset_in_s3_is_read_by_its_names_and_changes_with_its_pictures(server, characters_folder, monkeypatch):
    shutil.copytree(characters_folder, server / "all")
    there, here = load_dataset(listed("s3://heads/all"), 0.0).table, load_dataset(characters_folder, 0.0).table
    assert there.drop(columns="path").equals(here.drop(columns="path")) and len(there) == 48
    assert there["path"][0] == "s3://heads/all/Character 0/0.png"
    assert [read_bytes(path) for path in there["path"]] == [path.read_bytes() for path in map(type(server), here["path"])]
    assert not any(b"PNG" in path.read_bytes() for path in dataset_files(listed("s3://heads/all")))

    Place("s3://heads/all").write("table.csv", b"file,character\nCharacter 3/1.png,Ana\n")
    for place in ("s3://heads/all", "s3://heads/all/table.csv"):
        (row,) = load_dataset(listed(place), 0.0).table.to_dict("records")
        assert (row["path"], row["character"]) == ("s3://heads/all/Character 3/1.png", "Ana")
    with pytest.raises(UserError, match="s3://heads/nothing"):
        listed("s3://heads/nothing")
    with pytest.raises(StorageError, match="s3://nowhere/x: the bucket does not exist"):
        listed("s3://nowhere/x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    storage._s3.cache_clear()
    with pytest.raises(StorageError, match="the storage does not accept the credentials: correct AWS_ACCESS_KEY_ID"):
        listed("s3://heads/all")


def test_heads_in_shards_are_a_dataset(tmp_path):
    names = ["file", "illustration", "artwork", "character", "series", "set", "split", "original_name"]
    rows = [dict(zip(names, (f"00{n}-0.png", f"{n}.jpg", f"{n}.jpg", "Ana", "S", "", "", ""))) for n in range(2)]
    data = encode_pictures(pa.Table.from_pylist(rows), PICTURES[:2])
    Place(tmp_path).write("a" + SUFFIX, data)
    write_manifest(tmp_path, HEADS, "", [Shard("a" + SUFFIX, hashlib.sha256(data).hexdigest(), len(data), 2)])
    dataset = load_dataset(tmp_path, 0.0)
    assert "read as shards of heads: 2 pictures, 1 characters" in dataset.notes[0]
    assert [read_bytes(path) for path in dataset.table["path"]] == PICTURES[:2]
    assert {path.name for path in dataset_files(tmp_path)} == {MANIFEST, "a" + SUFFIX}
