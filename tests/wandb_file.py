"""Reads the file that an offline W&B run writes: LevelDB's log format, one protobuf record per entry."""

import json
import struct
from pathlib import Path

from wandb.proto import wandb_internal_pb2

BLOCK, FILE_HEADER, HEADER = 32768, 7, 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def records(path: Path) -> list[wandb_internal_pb2.Record]:
    """All records of a .wandb file. A record that spans blocks is put together; a cut-off tail is ignored."""
    data, place, found, partial = path.read_bytes(), FILE_HEADER, [], b""
    while place + HEADER <= len(data):
        left = BLOCK - place % BLOCK
        if left < HEADER:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + HEADER])
        if kind not in (FULL, FIRST, MIDDLE, LAST):
            break
        partial += data[place + HEADER : place + HEADER + length]
        place += HEADER + length
        if kind in (FULL, LAST):
            found.append(wandb_internal_pb2.Record.FromString(partial))
            partial = b""
    return found


def config(found: list[wandb_internal_pb2.Record]) -> dict:
    """The run's configuration, as last updated."""
    values = {}
    for record in found:
        for update in (record.run.config, record.config):
            values |= {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in update.update}
    return values


def history(found: list[wandb_internal_pb2.Record]) -> list[dict]:
    """What was logged, one dict per step."""
    return [{item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            for record in found if record.HasField("history")]  # fmt: skip


def summary(found: list[wandb_internal_pb2.Record]) -> dict:
    """The run's summary, as last updated."""
    values = {}
    for record in found:
        values |= {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in record.summary.update}
    return values
