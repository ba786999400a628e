"""Heads that were cut out on many machines: shards (data/shards.py) with a row per head, its labels and its encoded picture."""

from pathlib import Path
from typing import Any

from crystal_eyes.data.layouts.base import LabeledPicture
from crystal_eyes.data.left_out import LeftOut
from crystal_eyes.data.names import normalize
from crystal_eyes.data.shards import HEADS, MANIFEST, SUFFIX, Shards

NAME = "shards of heads"
LABELS = ("character", "series", "set", "artwork", "split", "original_name")
COLUMNS = ["file", *LABELS, "offset", "length"]


def detect(path: Path) -> bool:
    return (path / MANIFEST).is_file()


def read(path: Path, notes: list[str] | None = None) -> tuple[list[LabeledPicture], LeftOut]:
    found, pictures = Shards(path, HEADS), []
    for shard in found.shards:
        where = found.place.path(shard.file)
        for row in found.open(shard).read(columns=COLUMNS).to_pylist():
            texts: dict[str, Any] = {name: normalize(row[name]) for name in LABELS}
            pictures.append(LabeledPicture(f"{where}#{row['offset']}-{row['length']}", row["file"], **texts))
    if notes is not None:
        notes.append(f"{len(found.shards)} shards in {found.place}")
    return pictures, []


def files(path: Path) -> list[Path]:
    """The manifest, which has the shards' digests, and the shards beside it."""
    return [path / MANIFEST, *sorted(path.glob(f"*{SUFFIX}"))]
