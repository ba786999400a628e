"""Shards: a table, with pictures or embeddings, as many parquet files named by their contents, and a manifest that lists them.

    shards.json       kind, place of the shards, and of each its name, sha256, bytes and rows; written last
    SHA256.parquet    beside it, or where `place` says

A shard that holds pictures has them in its first column, `data`, uncompressed: `offset` and `length` of a row find the encoded
bytes in the file, so that one head is read without the others.
"""

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from crystal_eyes.data.storage import Place
from crystal_eyes.errors import UserError

MANIFEST, SUFFIX = "shards.json", ".parquet"
FORMAT = 1
CATALOGUE, HEADS, EMBEDDINGS = "catalogue", "heads", "embeddings"  # kinds
DATA = pa.field("data", pa.binary())


@dataclass(frozen=True)
class Shard:
    """One file of a manifest."""

    file: str
    sha256: str
    bytes: int
    rows: int


class Shards:
    """What a manifest lists, in order. Raises UserError where it is none of this kind, or shards are missing or mixed."""

    def __init__(self, folder: str | Path, kind: str):
        self.folder = Path(folder)
        path = self.folder / MANIFEST
        try:
            described = json.loads(path.read_text("utf-8"))
            if (described["format"], described["kind"]) != (FORMAT, kind):
                raise UserError(
                    f"{path} lists {described['kind']} in format {described['format']}, not {kind} in format {FORMAT}"
                )
            self.place = Place(described["place"] or self.folder)
            self.shards = [Shard(**one) for one in described["shards"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} can't be read ({type(error).__name__}: {error})") from None
        if not self.shards:
            raise UserError(f"{path} lists no shards")
        if not described["place"]:
            self._require_own()

    def _require_own(self) -> None:
        named = {one.file for one in self.shards}
        there = {path.name for path in self.folder.iterdir() if path.suffix == SUFFIX}
        if missing := sorted(named - there):
            raise UserError(f"{self.folder}: {len(missing)} of {len(named)} shards are missing, such as {missing[0]}")
        if other := sorted(there - named):
            raise UserError(
                f"{self.folder} mixes shards of two runs: {len(other)} are not in its {MANIFEST}, such as {other[0]}: "
                "remove them"
            )

    def __len__(self) -> int:
        """Rows."""
        return sum(one.rows for one in self.shards)

    def starts(self) -> list[int]:
        """For each shard, the bytes of those before it."""
        found, total = [], 0
        for one in self.shards:
            found.append(total)
            total += one.bytes
        return found

    def open(self, shard: Shard) -> pq.ParquetFile:
        """One shard, of which only what is used is read. Raises UserError where it has another size or can't be read."""
        if self.place.size(shard.file) != shard.bytes:
            raise UserError(
                f"{self.place.path(shard.file)} is damaged, missing or of another run: its size is not {shard.bytes}"
            )
        try:
            return pq.ParquetFile(self.place.open(shard.file))
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{self.place.path(shard.file)} can't be read: {str(error).splitlines()[0]}") from None

    def batches(self, rows: int, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows in batches of at most `rows`, none across two shards, without pictures unless columns name them."""
        for shard in self.shards:
            file = self.open(shard)
            wanted = columns or [name for name in file.schema_arrow.names if name != DATA.name]
            yield from file.iter_batches(batch_size=rows, columns=wanted)


def read_shard(place: Place, shard: Shard) -> pa.Table:
    """A whole shard. Raises UserError where its contents differ from the manifest."""
    data = place.read(shard.file)
    if hashlib.sha256(data).hexdigest() != shard.sha256:
        raise UserError(f"{place.path(shard.file)} is damaged or of another run: its digest is not the manifest's")
    return pq.read_table(io.BytesIO(data))


def write_manifest(folder: Path, kind: str, place: str, shards: Sequence[Shard]) -> None:
    """List shards that are complete. place: where they are, "" if in the folder. The file appears as a whole."""
    described = {"format": FORMAT, "kind": kind, "place": place, "shards": [asdict(one) for one in shards]}
    Place(folder).write(MANIFEST, (json.dumps(described, indent=1) + "\n").encode())


def encode(table: pa.Table) -> bytes:
    """The bytes of a shard without pictures. Equal tables give equal bytes."""
    file = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(None), file, compression="zstd", row_group_size=max(1, len(table)))
    return file.getvalue()


def encode_pictures(table: pa.Table, pictures: Sequence[bytes]) -> bytes:
    """The bytes of a shard with pictures. table: all its columns but offset, length and digest, which are found here, in order.

    Written twice: where the pictures lie is known once they are written, and does not depend on the columns behind them.
    """
    table = table.append_column("digest", pa.array([hashlib.sha256(one).hexdigest() for one in pictures], pa.string()))
    table = table.append_column("length", pa.array([len(one) for one in pictures], pa.int64()))
    first = _with_data(table, pictures, [0] * len(pictures))
    offsets, start = [], 0
    for one in pictures:
        start = first.index(len(one).to_bytes(4, "little") + one, start) + 4
        offsets.append(start)
        start += len(one)
    data = _with_data(table, pictures, offsets)
    if any(data[offset : offset + len(one)] != one for offset, one in zip(offsets, pictures)):
        raise RuntimeError("pyarrow moved the pictures of a shard when their places were written")
    return data


def _with_data(table: pa.Table, pictures: Sequence[bytes], offsets: Sequence[int]) -> bytes:
    others = [*table.column_names, "offset"]
    table = table.append_column("offset", pa.array(offsets, pa.int64())).add_column(0, DATA, pa.array(pictures, pa.binary()))
    file = io.BytesIO()
    pq.write_table(
        table.replace_schema_metadata(None), file, row_group_size=max(1, len(pictures)), use_dictionary=others,
        column_encoding=None, compression={DATA.name: "none", **dict.fromkeys(others, "zstd")}, write_statistics=others,
    )  # fmt: skip
    return file.getvalue()
