"""Embeds a catalogue on a cluster: a task a shard of the catalogue, or as many rows of one that is a single file."""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from crystal_eyes.data.catalogue import ORIGINAL, PICTURES, Catalogue, PictureChanged, moved, schema_of
from crystal_eyes.data.shards import DATA, EMBEDDINGS, Shard, encode, read_shard
from crystal_eyes.data.storage import Place
from crystal_eyes.encoder.embeddings import with_vectors
from crystal_eyes.encoder.runtime import OnnxEncoder
from crystal_eyes.errors import UserError
from crystal_eyes.fleet.run import FleetRun
from crystal_eyes.fleet.worker import Produced
from crystal_eyes.images import PictureError, load_head
from crystal_eyes.onnx_session import on_gpu

Head = bytes | str  # encoded, or why it can't be read


class EmbedShard:
    """Embeds the heads of one task."""

    def __init__(self, onnx: bytes, batch: int, gpu: bool = False):
        with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
            file.write(onnx)
            file.flush()
            self.encoder = OnnxEncoder(file.name, threads=1, gpu=gpu)
        self.on_gpu = on_gpu(self.encoder.session)
        self.batch = batch
        self.catalogues: dict[str, Catalogue] = {}

    def __call__(self, payload: tuple[str, Shard, int] | tuple[str, int, int]) -> Produced:
        """payload: (place, shard, bytes of the shards before it), or (folder of a catalogue, first row, number of rows)."""
        place, first, number = payload
        table, heads = self._shard(place, first, number) if isinstance(first, Shard) else self._rows(place, first, number)
        good, vectors, skipped = [], [], []
        files = table.column("file").to_pylist()
        for start in range(0, len(heads), self.batch):
            loaded = [self._load(head) for head in heads[start : start + self.batch]]
            good += [not isinstance(one, str) for one in loaded]
            skipped += [(file, one) for file, one in zip(files[start:], loaded) if isinstance(one, str)]
            if pixels := [one for one in loaded if not isinstance(one, str)]:
                vectors.append(self.encoder(np.stack(pixels)))
        if not vectors:
            return Produced(None, 0, {"skipped": skipped})
        table = with_vectors(table.filter(pa.array(good)), np.concatenate(vectors))
        return Produced(encode(table), len(table), {"skipped": skipped})

    def _shard(self, place: str, shard: Shard, start: int) -> tuple[pa.Table, list[Head]]:
        table = read_shard(Place(place), shard)
        heads = table.column(DATA.name).to_pylist()
        batches = [moved(batch, start) for batch in table.drop_columns([DATA.name]).combine_chunks().to_batches()]
        names = schema_of(ORIGINAL.name in table.column_names).names
        return pa.Table.from_batches(batches).select(names), heads

    def _rows(self, folder: str, first: int, number: int) -> tuple[pa.Table, list[Head]]:
        if folder not in self.catalogues:
            self.catalogues[folder] = Catalogue(folder)
        catalogue = self.catalogues[folder]
        table = catalogue.rows(first, number)
        heads: list[Head] = []
        for place in zip(*(table.column(name).to_pylist() for name in ("offset", "length", "digest"))):
            try:
                heads.append(catalogue.read(*place))
            except PictureChanged as error:
                heads.append(str(error))
        return table, heads

    def _load(self, head: Head) -> np.ndarray | str:
        if isinstance(head, str):
            return head
        try:
            return load_head(head, self.encoder.image_size)
        except PictureError as error:
            return str(error)


def embed(run: FleetRun, onnx: Path, catalogue: Path, batch: int) -> tuple[Path, list[tuple[str, str]]]:
    """Write the embeddings of a catalogue as shards, in its order, and their manifest.

    Returns the folder of the manifest and the heads that could not be read, as (file, reason), which are in no shard. Raises
    UserError where none could be read, or the ONNX file is no encoder.
    """
    OnnxEncoder(onnx, threads=1)  # the user hears about a wrong file here, and not from a worker
    source = Catalogue(catalogue)
    if of := source.shards:
        starts, count = of.starts(), len(of.shards)
        sample = of.place.path(of.shards[0].file)
        if not of.place.remote:
            of.place = Place(Path(of.place.text).resolve())

        def payload(number: int) -> tuple:
            return of.place.text, of.shards[number], starts[number]
    else:
        folder, count = str(catalogue.resolve()), run.tasks_of(len(source))
        sample = f"{folder}/{PICTURES}"

        def payload(number: int) -> tuple:
            return folder, number * run.rows, run.rows

    records = run.do(
        "embed", EmbedShard, {"onnx": onnx.read_bytes(), "batch": batch}, count, payload, sample, "embed", gpu=True
    )
    skipped = [(file, why) for one in records for file, why in one.notes["skipped"]]
    if not any(one.shard for one in records):
        raise UserError(
            f"none of the {len(source)} pictures could be read; the first: {': '.join(skipped[0]) if skipped else '-'}"
        )
    run.finish(EMBEDDINGS, records)
    return run.folder, skipped
