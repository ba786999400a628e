"""Checks the heads of a dataset and writes its catalogue on a cluster. Which heads are used is decided by select."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from crystal_eyes.data.catalogue import ORIGINAL, original_names, schema_of
from crystal_eyes.data.cropping import LabeledBox, head_bytes
from crystal_eyes.data.same_pictures import THUMBNAIL
from crystal_eyes.data.selection import Inspection, inspect_head
from crystal_eyes.data.shards import CATALOGUE, encode, encode_pictures
from crystal_eyes.fleet.run import FleetRun
from crystal_eyes.fleet.worker import Produced

FOUND_LATER = ("digest", "offset", "length")  # columns, by encode_pictures
Heads = list[tuple[str, LabeledBox | None]]  # path, box


class InspectHeads:
    """Decodes the heads of one task."""

    def __call__(self, heads: Heads) -> Produced:
        found = [inspect_head(path, box) for path, box in heads]
        columns: dict[str, list[Any]] = {
            "problem": [one.problem for one in found],
            "width": [one.width for one in found],
            "height": [one.height for one in found],
            "monochrome": [one.monochrome for one in found],
            "hashes": [one.hashes.astype("<u8").tobytes() for one in found],
            "thumbnail": [one.thumbnail.tobytes() for one in found],
        }
        return Produced(encode(pa.table(columns)), len(found), {})


def inspections(run: FleetRun, table: pd.DataFrame) -> Iterator[Inspection]:
    """What decoding tells of the heads of a dataset's table, in its order: select's `inspect`."""
    target = run.records.below("inspected")
    paths, boxes = table["path"].to_numpy(), table["box"].to_numpy()
    records = run.do(
        "inspect", InspectHeads, {}, run.tasks_of(len(table)), lambda number: _heads(run, paths, boxes, number), paths[0],
        "check pictures", target,
    )  # fmt: skip
    for record in records:
        assert record.shard
        for row in pq.read_table(io.BytesIO(target.read(record.shard.file))).to_pylist():
            if row["problem"]:
                yield Inspection(row["problem"])
                continue
            hashes = np.frombuffer(row["hashes"], "<u8").reshape(2, -1)
            seen = np.frombuffer(row["thumbnail"], np.uint8).reshape(THUMBNAIL, THUMBNAIL, 3)
            yield Inspection("", row["width"], row["height"], row["monochrome"], hashes, seen)


class WriteHeads:
    """Writes the heads of one task. names: columns of the shards."""

    def __init__(self, original: bool):
        self.schema = pa.schema([field for field in schema_of(original) if field.name not in FOUND_LATER])

    def __call__(self, payload: tuple[Heads, dict[str, list]]) -> Produced:
        heads, columns = payload
        pictures = [head_bytes(path, box) for path, box in heads]
        return Produced(encode_pictures(pa.table(columns, schema=self.schema), pictures), len(heads), {})


def write_catalogue(run: FleetRun, table: pd.DataFrame) -> Path:
    """Write the heads of a table, as catalogue.write takes it, with path and box. Returns the folder of the manifest."""
    original = bool(original_names(table))
    names = [name for name in schema_of(original).names if name not in FOUND_LATER]
    paths, boxes = table["path"].to_numpy(), table["box"].to_numpy()

    def payload(number: int) -> tuple[Heads, dict[str, list]]:
        rows = table.iloc[number * run.rows : (number + 1) * run.rows]
        columns = {name: rows[name].fillna("") if name == ORIGINAL.name else rows[name] for name in names}
        return _heads(run, paths, boxes, number), {name: column.tolist() for name, column in columns.items()}

    count = run.tasks_of(len(table))
    run.finish(CATALOGUE, run.do("write", WriteHeads, {"original": original}, count, payload, paths[0], "write catalogue"))
    return run.folder


def _heads(run: FleetRun, paths: np.ndarray, boxes: np.ndarray, number: int) -> Heads:
    part = slice(number * run.rows, (number + 1) * run.rows)
    return list(zip(paths[part].tolist(), boxes[part].tolist()))
