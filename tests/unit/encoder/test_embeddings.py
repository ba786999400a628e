import shutil

import numpy as np
import pandas as pd
import pytest

from crystal_eyes.data.catalogue import PICTURES, Catalogue, write
from crystal_eyes.encoder.embeddings import EMBEDDINGS, TABLE, embed_catalogue, read_embeddings
from crystal_eyes.encoder.runtime import OnnxEncoder
from crystal_eyes.errors import UserError
from crystal_eyes.images import load_head


@pytest.fixture
def encoder(exported):
    return OnnxEncoder(exported[1])


def one_by_one(encoder: OnnxEncoder, catalogue: Catalogue, rows) -> np.ndarray:
    table = catalogue.table().iloc[list(rows)]
    places = zip(table["offset"], table["length"], table["digest"])
    return np.concatenate([encoder(load_head(catalogue.read(*place), 32)[None]) for place in places])


@pytest.mark.parametrize("batch", [1, 7, 48, 1000])
def test_streamed_embeddings_are_those_of_each_picture_alone(encoder, catalogue, tmp_path, batch):
    assert embed_catalogue(encoder, catalogue, tmp_path / "out", batch) == []
    embeddings, table = read_embeddings(tmp_path / "out")
    np.testing.assert_allclose(embeddings, one_by_one(encoder, catalogue, range(len(catalogue))), atol=1e-5, rtol=0)
    pd.testing.assert_frame_equal(table.to_pandas(), catalogue.table())


def test_the_file_is_a_plain_array_of_numpy(encoder, catalogue, tmp_path):
    embed_catalogue(encoder, catalogue, tmp_path, 10)
    embeddings = np.load(tmp_path / EMBEDDINGS, allow_pickle=False)
    assert embeddings.shape == (48, 16) and embeddings.dtype == np.dtype("<f4") and embeddings.flags.c_contiguous
    np.testing.assert_array_equal(embeddings, read_embeddings(tmp_path)[0])


def with_broken(catalogue: Catalogue, folder, not_a_picture, damaged) -> Catalogue:
    """A copy where some rows were written with bytes that are no picture, and some were damaged afterwards."""
    table = catalogue.table()
    heads = [catalogue.read(*place) for place in zip(table["offset"], table["length"], table["digest"])]
    write(folder, table, [b"I am no picture" if i in not_a_picture else data for i, data in enumerate(heads)])
    data = bytearray((folder / PICTURES).read_bytes())
    for row in damaged:
        data[Catalogue(folder).table()["offset"][row] + 9] ^= 1
    (folder / PICTURES).write_bytes(data)
    return Catalogue(folder)


@pytest.mark.parametrize("batch", [2, 64])
def test_broken_pictures_are_skipped_and_named_and_the_others_keep_their_order(encoder, catalogue, tmp_path, batch):
    broken = with_broken(catalogue, tmp_path / "c", not_a_picture={0, 1, 30}, damaged={17, 47})
    skipped = embed_catalogue(encoder, broken, tmp_path / "out", batch)
    files = broken.table()["file"]
    assert [file for file, _ in skipped] == [files[row] for row in (0, 1, 17, 30, 47)]
    assert skipped[0][1].startswith("not a PNG") and skipped[2][1].startswith("it was damaged after")
    rows = [row for row in range(48) if row not in (0, 1, 17, 30, 47)]
    embeddings, table = read_embeddings(tmp_path / "out")
    assert table.column("file").to_pylist() == files[rows].tolist()
    np.testing.assert_allclose(embeddings, one_by_one(encoder, broken, rows), atol=1e-5, rtol=0)


def test_when_no_picture_can_be_read_the_user_is_told(encoder, catalogue, tmp_path):
    broken = with_broken(catalogue, tmp_path / "c", not_a_picture=set(range(48)), damaged=set())
    with pytest.raises(UserError, match="none of the 48 pictures could be read.*Character 0/0.png") as caught:
        embed_catalogue(encoder, broken, tmp_path / "out", 16)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["nothing there", "no table", "cut off", "another table"])
def test_a_folder_without_whole_embeddings_is_refused(encoder, catalogue, tmp_path, damage):
    folder = tmp_path / "out"
    if damage != "nothing there":
        embed_catalogue(encoder, catalogue, folder, 64)
    if damage == "no table":
        (folder / TABLE).unlink()
    elif damage == "cut off":
        (folder / EMBEDDINGS).write_bytes((folder / EMBEDDINGS).read_bytes()[:500])
    elif damage == "another table":
        write(tmp_path / "small", catalogue.table().head(3), [b"a", b"b", b"c"])
        shutil.copy(tmp_path / "small" / "catalogue.parquet", folder / TABLE)
    with pytest.raises(UserError, match="embed") as caught:
        read_embeddings(folder)
    assert "\n" not in str(caught.value)
