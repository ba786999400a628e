import multiprocessing
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crystal_eyes.data.catalogue import PICTURES, SCHEMA, TABLE, Catalogue, PictureChanged, original_names, write
from crystal_eyes.errors import UserError

HEADS = [b"first", b"", b"third " * 1000, "häkchen".encode()]


def a_table() -> pd.DataFrame:
    count = len(HEADS)
    return pd.DataFrame(
        {
            "file": [f"{i}.png" for i in range(count)],
            "character": ["初音ミク", "初音ミク", "Ana María", "b"],
            "series": "", "set": "s", "artwork": ["a", "a", "", ""], "monochrome": [True, False, False, True],
            "width": range(10, 10 + count), "height": range(20, 20 + count),
            "encoder_split": ["train", "", "test", "validation"], "classifier_split": ["train", "test", "", "train"],
        }
    )  # fmt: skip


def places(table: pd.DataFrame) -> list[tuple[int, int, str]]:
    return list(zip(table["offset"], table["length"], table["digest"]))


def read_all(catalogue: Catalogue) -> list[bytes]:
    return [catalogue.read(*place) for place in places(catalogue.table())]


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "catalogue", a_table(), iter(HEADS))
    return tmp_path / "catalogue"


def test_what_was_written_is_read_back(folder):
    catalogue = Catalogue(folder)
    table = catalogue.table()
    assert len(catalogue) == len(table) == len(HEADS)
    assert list(table.columns) == SCHEMA.names
    for name in a_table():
        assert table[name].tolist() == a_table()[name].tolist(), name
    assert read_all(catalogue) == HEADS


def test_original_names_are_kept_where_a_dataset_has_them(folder, tmp_path):
    names = ["", "初音ミク", *[""] * (len(HEADS) - 2)]
    write(tmp_path / "named", a_table().assign(original_name=names), HEADS)
    named = Catalogue(tmp_path / "named")
    assert named.table()["original_name"].tolist() == names and named.schema.names == [*SCHEMA.names, "original_name"]
    assert original_names(named.table()) == {a_table()["character"][1]: "初音ミク"}
    assert original_names(Catalogue(folder).table()) == {}
    # a dataset with an empty column is one without: what was trained on its catalogue stays valid
    write(tmp_path / "empty", a_table().assign(original_name=""), HEADS)
    assert (tmp_path / "empty" / TABLE).read_bytes() == (folder / TABLE).read_bytes()


@pytest.mark.parametrize("rows", [1, 3, 4, 100])
def test_batches_are_the_table_in_order(folder, rows):
    batches = list(Catalogue(folder).batches(rows))
    assert max(len(batch) for batch in batches) <= rows
    assert pa.Table.from_batches(batches).to_pandas().equals(Catalogue(folder).table())


def test_equal_pictures_give_equal_bytes_whatever_the_index(folder, tmp_path):
    write(tmp_path / "again", a_table().set_index(pd.Index([7, 5, 3, 1])), HEADS)
    for name in (TABLE, PICTURES):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()
    assert not pq.read_schema(folder / TABLE).metadata


def test_damaged_bytes_are_detected(folder):
    table = Catalogue(folder).table()
    data = bytearray((folder / PICTURES).read_bytes())
    data[table["offset"][2] + 17] ^= 1
    (folder / PICTURES).write_bytes(data)
    catalogue = Catalogue(folder)
    with pytest.raises(PictureChanged):
        catalogue.read(*places(table)[2])
    assert catalogue.read(*places(table)[3]) == HEADS[3]


def test_a_truncated_file_is_detected(folder):
    (folder / PICTURES).write_bytes((folder / PICTURES).read_bytes()[:-1])
    catalogue = Catalogue(folder)
    with pytest.raises(PictureChanged):
        catalogue.read(*places(catalogue.table())[-1])


def test_a_pickled_catalogue_reads_the_same(folder):
    catalogue = Catalogue(folder)
    read_all(catalogue)
    assert read_all(pickle.loads(pickle.dumps(catalogue))) == HEADS


def test_threads_and_forked_processes_share_one_open_catalogue(catalogue):
    expected = read_all(catalogue)  # opens the file before the fork
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda place: catalogue.read(*place), places(catalogue.table()) * 5)) == expected * 5
    with ProcessPoolExecutor(
        2, mp_context=multiprocessing.get_context("fork"), initializer=_keep, initargs=(catalogue,)
    ) as pool:
        assert list(pool.map(_read_kept, places(catalogue.table()) * 5)) == expected * 5


def _keep(catalogue):
    global kept
    kept = catalogue


def _read_kept(place):
    return kept.read(*place)


@pytest.mark.parametrize("missing", [TABLE, PICTURES])
def test_a_folder_without_one_of_the_files_is_not_a_catalogue(folder, missing):
    (folder / missing).unlink()
    with pytest.raises(UserError, match=f"is not a catalogue: {missing} is missing"):
        Catalogue(folder)


def test_a_folder_that_does_not_exist_is_not_a_catalogue(tmp_path):
    with pytest.raises(UserError, match="is not a catalogue"):
        Catalogue(tmp_path / "nothing")


def test_a_damaged_table_is_a_user_error(folder):
    (folder / TABLE).write_bytes((folder / TABLE).read_bytes()[:100])
    with pytest.raises(UserError, match="can't be read") as caught:
        Catalogue(folder)
    assert "\n" not in str(caught.value)


def test_a_table_of_something_else_is_not_a_catalogue(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "other")
    pd.DataFrame({"file": ["a"]}).to_parquet(tmp_path / "other" / TABLE)
    with pytest.raises(UserError, match="no column.*character"):
        Catalogue(tmp_path / "other")
