"""Reads what an offline run of W&B left on disk: LevelDB's log format, a protobuf record an entry."""

import json
import struct
from pathlib import Path

from wandb.proto import wandb_internal_pb2

BLOCK, FILE_HEADER, HEADER = 32768, 7, 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def records(path: Path) -> list[wandb_internal_pb2.Record]:
    data, place, found, parts = path.read_bytes(), FILE_HEADER, [], b""
    while place + HEADER <= len(data):
        left = BLOCK - place % BLOCK
        if left < HEADER:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + HEADER])
        if kind not in (FULL, FIRST, MIDDLE, LAST):
            break
        parts += data[place + HEADER : place + HEADER + length]
        place += HEADER + length
        if kind in (FULL, LAST):
            found.append(wandb_internal_pb2.Record.FromString(parts))
            parts = b""
    return found


def config(found: list) -> dict:
    said = {}
    for record in found:
        for part in (record.run.config, record.config):
            said |= {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in part.update}
    return said


def history(found: list) -> list[dict]:
    return [{item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            for record in found if record.HasField("history")]  # fmt: skip


def summary(found: list) -> dict:
    said = {}
    for record in found:
        said |= {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in record.summary.update}
    return said
