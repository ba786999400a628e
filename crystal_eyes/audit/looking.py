"""Looks at every picture of a dataset once: can it be read, how many heads does it show, what are its hashes and its embedding.

What was seen is appended to a file of records, so that an interrupted audit goes on, and the next one of a corrected dataset
takes seconds. A picture is known by its bytes, whatever its name.
"""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from crystal_eyes.data.cropping import LabeledBox, head_bytes
from crystal_eyes.data.same_pictures import THUMBNAIL
from crystal_eyes.data.selection import inspect_head
from crystal_eyes.detector.runtime import HeadDetector
from crystal_eyes.encoder.runtime import OnnxEncoder
from crystal_eyes.errors import said
from crystal_eyes.images import PictureError, fit
from crystal_eyes.progress import track
from crystal_eyes.recognizer.finding import find_heads
from crystal_eyes.recognizer.pictures import pixels
from crystal_eyes.vectors import unit

BATCH = 32  # pictures that are searched, then embedded together
MAX_BOXES = 8  # that are kept of a picture, to show them
GIVEN = -1  # in place of a number of heads: the dataset says where the head is


@dataclass(frozen=True)
class Looks:
    """What was seen of n rows of a dataset. Rows with a problem have zeros everywhere else."""

    problems: list[str]  # why a row can't be used, "" for one that can
    records: np.ndarray  # [n], see record_type

    @property
    def embeddings(self) -> np.ndarray:
        """float32 [n, d], unit length."""
        return unit(self.records["embedding"])


@dataclass(frozen=True)
class _Seen:
    """One row. head: uint8 [size, size, 3] that is to be embedded, None where the record is complete."""

    problem: str
    record: np.ndarray | None = None
    head: np.ndarray | None = None


def look(table: pd.DataFrame, detector: Path, encoder: Path, folder: Path) -> Looks:
    """Look at the pictures of a dataset's table (layouts.COLUMNS), with progress on stderr.

    detector, encoder: ONNX files. folder: keeps what was seen by an earlier or interrupted call with the same two files.
    Raises UserError where one of them is not what it should be.
    """
    networks = hashlib.sha256(detector.read_bytes() + encoder.read_bytes()).hexdigest()[:16]
    find, embed = HeadDetector(detector, threads=1), OnnxEncoder(encoder)
    kind = record_type(embed.embedding_size)
    path = folder / f"seen-{networks}.bin"
    for other in folder.glob("seen-*.bin"):  # with other networks
        if other != path:
            other.unlink()
    known = _read(path, kind)
    problems: list[str] = []
    records = np.zeros(len(table), kind)

    def see(row: tuple[str, LabeledBox | None]) -> _Seen:
        return _see(*row, find, embed.image_size, known, kind)

    rows = list(zip(table["path"], table["box"]))
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool, open(path, "ab") as file:
        steps = iter(track(range(len(rows)), len(rows), "look at pictures", "pictures"))
        next(steps, None)  # starts the clock
        for start in range(0, len(rows), BATCH):
            seen = list(pool.map(see, rows[start : start + BATCH]))
            new = [one for one in seen if one.head is not None]
            if new:
                embeddings = embed(np.stack([one.head for one in new if one.head is not None]))
                for one, embedding in zip(new, embeddings):
                    assert one.record is not None
                    one.record["embedding"] = embedding
                    file.write(one.record.tobytes())
                    known[bytes(one.record["key"])] = one.record.copy()
                file.flush()
            for number, one in enumerate(seen, start):
                problems.append(one.problem)
                if one.record is not None:
                    records[number] = one.record
                next(steps, None)  # after the last one it says how long all took
    return Looks(problems, records)


def record_type(width: int) -> np.dtype:
    """One row that was seen. width: of an embedding."""
    return np.dtype(
        [
            ("key", "S32"),  # of the picture's bytes and the box
            ("size", "<i4", 2),  # width and height of the head's picture, pixels
            ("hashes", "<u8", (2, 4)),  # see image_stats.hashes_of_sides
            ("thumbnail", "u1", (THUMBNAIL, THUMBNAIL, 3)),  # see same_pictures.thumbnail
            ("heads", "<i2"),  # that were found in the picture, or GIVEN
            ("whole", "?"),  # the picture is itself a head crop
            ("boxes", "<f4", (MAX_BOXES, 4)),  # of the heads, most confident first, pixels; NaN where there are fewer
            ("embedding", "<f2", width),  # of the only or most confident head; of the whole picture where none was found
        ]
    )


def _read(path: Path, kind: np.dtype) -> dict[bytes, np.ndarray]:
    """The records of a file by key. A last one that was cut off is removed from the file."""
    if not path.exists():
        return {}
    complete = path.stat().st_size // kind.itemsize
    os.truncate(path, complete * kind.itemsize)
    return {bytes(record["key"]): record for record in np.fromfile(path, kind)}


def _see(
    path: str, box: LabeledBox | None, detector: HeadDetector, size: int, known: dict[bytes, np.ndarray], kind: np.dtype
) -> _Seen:
    try:
        digest = hashlib.sha256(Path(path).read_bytes() + repr(box).encode())
    except OSError as error:
        return _Seen(f"can't be read: {said(error)}")
    key = digest.hexdigest()[:32].encode()
    if key in known:
        return _Seen("", known[key])
    inspection = inspect_head(path, box)
    if inspection.problem:
        return _Seen(inspection.problem)
    try:
        picture = pixels(head_bytes(path, box))
    except (PictureError, OSError) as error:  # it was changed in between
        return _Seen(str(error))
    record = np.zeros((), kind)
    record["key"], record["size"] = key, (inspection.width, inspection.height)
    record["hashes"], record["thumbnail"] = inspection.hashes, inspection.thumbnail
    record["boxes"] = np.nan
    head = picture
    if box is None:
        found = find_heads(detector, picture)
        record["heads"], record["whole"] = len(found), bool(found) and found[0].whole_picture
        for place, one in enumerate(found[:MAX_BOXES]):
            record["boxes"][place] = one.box
        head = found[0].picture if found else picture
    else:
        record["heads"] = GIVEN
    return _Seen("", record, fit(Image.fromarray(head), size))
