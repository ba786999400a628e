"""The catalogue: one typed table of head pictures, and the pictures themselves, in one folder.

    catalogue.parquet   one row per picture (SCHEMA)
    pictures.bin        their encoded bytes, one after the other; a row's offset and length find them

The pictures are kept with the table, so a later step reads what was checked, even if the dataset has changed since. A
catalogue of many machines is a list of shards instead (shards.py), with the same columns; its offsets count through all.
"""

import hashlib
import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crystal_eyes.data import shards
from crystal_eyes.errors import UserError

TABLE, PICTURES = "catalogue.parquet", "pictures.bin"

SCHEMA = pa.schema(
    [
        ("file", pa.string()),  # as the dataset names it
        ("character", pa.string()),  # unique label
        ("series", pa.string()),  # "" where unknown
        ("set", pa.string()),  # where the picture comes from, "" where the dataset has no sets
        ("artwork", pa.string()),  # pictures that share it were cut from one drawing
        ("monochrome", pa.bool_()),  # line art or grayscale
        ("width", pa.int32()),  # pixels
        ("height", pa.int32()),
        ("digest", pa.string()),  # sha256 of the encoded bytes, hex
        ("offset", pa.int64()),  # into pictures.bin, bytes
        ("length", pa.int64()),
        ("encoder_split", pa.string()),  # train | validation | test, or "" for pictures no encoder may be trained on
        ("classifier_split", pa.string()),  # train | test | ""
    ]
)


# the character's name in its own script, "" where unknown: a column that only catalogues of datasets with such names have
ORIGINAL = pa.field("original_name", pa.string())


class PictureChanged(UserError):
    """The bytes of a picture differ from those that the catalogue was written with."""


class Catalogue:
    """A catalogue folder, opened for reading. Raises UserError where it is not a catalogue."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._handle: int | None = None
        sharded = (self.folder / shards.MANIFEST).is_file()
        if sharded and (self.folder / TABLE).exists():
            raise UserError(f"{self.folder} holds two catalogues, {TABLE} and {shards.MANIFEST}: remove one of them")
        self.shards = shards.Shards(folder, shards.CATALOGUE) if sharded else None
        if self.shards:
            self._starts = self.shards.starts()
            self._parquet = self.shards.open(self.shards.shards[0])
        else:
            for name in (TABLE, PICTURES):
                if not (self.folder / name).is_file():
                    raise UserError(f"{self.folder} is not a catalogue: {name} is missing")
            try:
                self._parquet = pq.ParquetFile(self.folder / TABLE)
            except (pa.ArrowException, OSError) as error:
                raise UserError(f"{self.folder / TABLE} can't be read: {str(error).splitlines()[0]}") from None
        missing = set(SCHEMA.names) - set(self._parquet.schema_arrow.names)
        if missing:
            raise UserError(f"{self.folder / TABLE} is not a catalogue: it has no column {', '.join(sorted(missing))}")

    def __len__(self) -> int:
        return len(self.shards) if self.shards else self._parquet.metadata.num_rows

    def table(self) -> pd.DataFrame:
        """The whole table (SCHEMA, and ORIGINAL if it has one), one row per picture, in the order of the file."""
        if self.shards:
            return pa.Table.from_batches(self.batches(2**16), self.schema).to_pandas()
        return self._parquet.read().to_pandas()

    @property
    def schema(self) -> pa.Schema:
        """SCHEMA, with ORIGINAL if the table has one."""
        return schema_of(ORIGINAL.name in self._parquet.schema_arrow.names)

    def batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        """The table in batches of at most `rows` rows, in order, so that memory does not grow with the table."""
        if self.shards:
            return self._shard_batches(self.shards, rows)
        return self._parquet.iter_batches(batch_size=rows)

    def rows(self, first: int, number: int) -> pa.Table:
        """A part of the table of a single file."""
        return self._parquet.read(columns=self.schema.names).slice(first, number)

    def _shard_batches(self, of: shards.Shards, rows: int) -> Iterator[pa.RecordBatch]:
        schema = self.schema
        for shard, start in zip(of.shards, self._starts):
            for batch in of.open(shard).iter_batches(batch_size=rows, columns=schema.names):
                yield moved(batch.select(schema.names), start)

    def read(self, offset: int, length: int, digest: str) -> bytes:
        """The encoded bytes of one picture. Safe to call from many threads and forked processes.

        offset, length, digest: of its row. Raises PictureChanged where the bytes have another digest, UserError where a shard
        can't be read.
        """
        if self.shards:
            number = bisect_right(self._starts, offset) - 1
            data = self.shards.place.read_part(self.shards.shards[number].file, offset - self._starts[number], length)
        else:
            if self._handle is None:
                self._handle = os.open(self.folder / PICTURES, os.O_RDONLY)
            data = os.pread(self._handle, length, offset)
        if hashlib.sha256(data).hexdigest() != digest:
            raise PictureChanged("it was damaged after the catalogue was written, or belongs to another catalogue")
        return data

    def __getstate__(self) -> dict[str, Path]:
        # worker processes open their own file
        return {"folder": self.folder}

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.__init__(state["folder"])  # type: ignore[misc]


def moved(batch: pa.RecordBatch, start: int) -> pa.RecordBatch:
    """Rows of a shard whose offsets count from the first shard. start: bytes of the shards before theirs."""
    place = batch.schema.get_field_index("offset")
    return batch.set_column(place, batch.schema.field(place), pc.add(batch.column(place), start))


def artworks(table: pd.DataFrame) -> np.ndarray:
    """object [rows]: the artwork of each picture; one without an artwork is an artwork of its own."""
    return np.where(table["artwork"] != "", table["artwork"], "\0" + table["file"])


def original_names(table: pd.DataFrame) -> dict[str, str]:
    """The original name of each character that has one; the first one where its pictures have several."""
    if ORIGINAL.name not in table:
        return {}
    given = table[table[ORIGINAL.name].fillna("") != ""]
    return given.groupby("character")[ORIGINAL.name].first().to_dict()


def write(folder: Path, table: pd.DataFrame, pictures: Iterable[bytes]) -> None:
    """Write a catalogue folder. Equal tables and pictures give equal bytes.

    table: SCHEMA without offset, length and digest, and perhaps ORIGINAL; pictures: encoded bytes in the order of its rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    offsets, lengths, digests, offset = [], [], [], 0
    with open(folder / PICTURES, "wb") as file:
        for data in pictures:
            file.write(data)
            offsets.append(offset)
            lengths.append(len(data))
            digests.append(hashlib.sha256(data).hexdigest())
            offset += len(data)
    table = table.assign(offset=offsets, length=lengths, digest=digests)
    # only where it says something: the catalogues of other datasets stay what they were, and what was trained on them valid
    schema = schema_of(bool(original_names(table)))
    arrow = pa.Table.from_pandas(table[schema.names], schema=schema, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(arrow, folder / TABLE, compression="zstd")


def schema_of(with_original: bool) -> pa.Schema:
    return SCHEMA.append(ORIGINAL) if with_original else SCHEMA
