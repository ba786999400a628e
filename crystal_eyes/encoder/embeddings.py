"""Embeds a whole catalogue with the ONNX encoder, streamed: memory does not grow with the number of heads."""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from crystal_eyes.data import shards
from crystal_eyes.data.catalogue import Catalogue, PictureChanged
from crystal_eyes.encoder.runtime import OnnxEncoder
from crystal_eyes.errors import UserError
from crystal_eyes.images import PictureError, fit, load_head
from crystal_eyes.progress import track

EMBEDDINGS, TABLE = "embeddings.npy", "table.parquet"
VECTOR = "embedding"  # column of the shards of embeddings, float32 [d]
BATCH_ROWS = 4096
Change = Callable[[Image.Image], Image.Image]


def embed_catalogue(encoder: OnnxEncoder, catalogue: Catalogue, folder: Path, batch: int) -> list[tuple[str, str]]:
    """Write embeddings.npy (float32 [n, d]) and table.parquet (the catalogue's rows in the same order).

    Returns the heads that could not be read, as (file, reason); they are in neither output.
    Raises UserError where none could be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    skipped: list[tuple[str, str]] = []

    def load(place: tuple[int, int, str]) -> np.ndarray | str:
        try:
            return load_head(catalogue.read(*place), encoder.image_size)
        except (PictureChanged, PictureError) as error:
            return str(error)

    written = 0
    with (
        ThreadPoolExecutor() as pool,
        open(folder / EMBEDDINGS, "wb") as array,
        pq.ParquetWriter(folder / TABLE, catalogue.schema, compression="zstd") as tables,
    ):
        _header(array, 0, encoder.embedding_size)
        for rows in track(catalogue.batches(batch), -(-len(catalogue) // batch), "embed", "batches"):
            columns = (rows.column(name).to_pylist() for name in ("offset", "length", "digest"))
            loaded = list(pool.map(load, zip(*columns)))
            good = [not isinstance(found, str) for found in loaded]
            files = rows.column("file").to_pylist()
            skipped += [(file, found) for file, found in zip(files, loaded) if isinstance(found, str)]
            if any(good):
                stack = np.stack([found for found in loaded if not isinstance(found, str)])
                array.write(encoder(stack).astype("<f4").tobytes())
                tables.write_batch(rows.select(catalogue.schema.names).filter(pa.array(good)).cast(catalogue.schema))
                written += sum(good)
        array.seek(0)
        _header(array, written, encoder.embedding_size)
    if not written:
        raise UserError(
            f"none of the {len(catalogue)} pictures could be read; the first: {': '.join(skipped[0]) if skipped else '-'}"
        )
    return skipped


def load_heads(catalogue: Catalogue, rows: pd.DataFrame, size: int) -> np.ndarray:
    """uint8 RGB [rows, size, size, 3]: the heads of some rows of a catalogue's table. Raises PictureChanged, PictureError."""
    places = zip(rows["offset"], rows["length"], rows["digest"])
    return np.stack([load_head(catalogue.read(*place), size) for place in places])


def embed_changed(
    encoder: OnnxEncoder, pictures: Iterable[Image.Image], changes: Sequence[Change], batch: int = 32
) -> np.ndarray:
    """float32 [n, d]: embeddings of what each of the changes, in turn, makes of RGB pictures."""
    out, waiting = [np.zeros((0, encoder.embedding_size), np.float32)], []
    for number, picture in enumerate(pictures):
        waiting.append(fit(changes[number % len(changes)](picture), encoder.image_size))
        if len(waiting) == batch:
            out.append(encoder(np.stack(waiting)))
            waiting = []
    return np.concatenate([*out, encoder(np.stack(waiting))] if waiting else out)


def _header(array: BinaryIO, rows: int, width: int) -> None:
    # numpy pads its header, so the number of rows can be changed in place
    np.lib.format.write_array_header_1_0(array, {"descr": "<f4", "fortran_order": False, "shape": (rows, width)})


def read_embeddings(folder: str | Path) -> tuple[np.ndarray, "pa.Table"]:
    """What was embedded: float32 [n, d] (memory-mapped) and the table. Raises UserError where there is none.

    Shards are put together on the disk first, in the folder for temporary files.
    """
    folder = Path(folder)
    if (folder / shards.MANIFEST).is_file():
        return _put_together(shards.Shards(folder, shards.EMBEDDINGS))
    try:
        embeddings = np.load(folder / EMBEDDINGS, mmap_mode="r", allow_pickle=False)
        table = pq.read_table(folder / TABLE)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{folder} contains no embeddings ({error})") from None
    if len(embeddings) != len(table):
        raise UserError(f"{folder}: {len(embeddings)} embeddings for {len(table)} rows")
    return embeddings, table


class Part(NamedTuple):
    """The heads of one encoder_split among those that were embedded."""

    embeddings: np.ndarray  # float32 [n, d]
    table: "pa.Table"  # n rows
    of: int  # heads in all splits
    sets: set[str]  # of heads in all splits


def read_part(folder: str | Path, encoder_split: str) -> Part:
    """One split of what was embedded, the only one in memory. Raises UserError where there are no embeddings."""
    folder = Path(folder)
    if not (folder / shards.MANIFEST).is_file():
        embeddings, table = read_embeddings(folder)
        wanted = pc.equal(table["encoder_split"], encoder_split)
        return Part(embeddings[wanted.to_numpy()], table.filter(wanted), len(table), set(pc.unique(table["set"]).to_pylist()))
    found, parts, sets = shards.Shards(folder, shards.EMBEDDINGS), [], set[str]()
    for batch in found.batches(BATCH_ROWS, found.open(found.shards[0]).schema_arrow.names):
        parts.append(batch.filter(pc.equal(batch.column("encoder_split"), encoder_split)))
        sets |= set(pc.unique(batch.column("set")).to_pylist())
    table = pa.Table.from_batches(parts)
    return Part(vectors(table), table.drop_columns([VECTOR]), len(found), sets)


def with_vectors(table: "pa.Table", embeddings: np.ndarray) -> "pa.Table":
    """A table with float32 [rows, d] as its last column, as the shards of embeddings have it."""
    flat = pa.array(np.ascontiguousarray(embeddings, np.float32).reshape(-1), pa.float32())
    return table.append_column(VECTOR, pa.FixedSizeListArray.from_arrays(flat, embeddings.shape[1]))


def vectors(table: "pa.Table") -> np.ndarray:
    """float32 [rows, d] of with_vectors."""
    column = table[VECTOR].combine_chunks()
    return column.flatten().to_numpy().reshape(len(table), column.type.list_size)


def _put_together(found: shards.Shards) -> tuple[np.ndarray, "pa.Table"]:
    width = found.open(found.shards[0]).schema_arrow.field(VECTOR).type.list_size
    # gone with its last user
    whole = np.memmap(tempfile.TemporaryFile(), dtype=np.float32, mode="w+", shape=(len(found), width))
    rows, start = [], 0
    for shard in found.shards:
        table = shards.read_shard(found.place, shard)
        whole[start : start + len(table)] = vectors(table)
        rows.append(table.drop_columns([VECTOR]))
        start += len(table)
    return whole, pa.concat_tables(rows)
