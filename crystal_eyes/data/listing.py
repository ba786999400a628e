"""A dataset in S3 as a folder of names: every layout reads it without a picture being fetched.

Tables are copied. A picture is a file of one line, its size and the time of its last change, so that the digest of the folder
changes with the pictures.
"""

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

from crystal_eyes.data.storage import Place, split
from crystal_eyes.errors import UserError
from crystal_eyes.images import SUFFIXES

ORIGIN = ".listing.json"  # hidden: no layout reads it
TABLES = (".csv", ".tsv", ".txt", ".json", ".parquet")
MAX_TABLE = 2**30  # bytes
_folders: list[tempfile.TemporaryDirectory] = []  # until the process ends


def listed(uri: str) -> Path:
    """The local folder, or the table in it, that stands for a dataset at `s3://...`. Raises UserError: there is none."""
    table = Path(uri).suffix.lower() in TABLES
    place = Place(split(uri)[0] if table else uri)
    files = place.files()
    if not files:
        raise UserError(f"{uri} contains no files: give the folder or the table of a dataset")
    _folders.append(tempfile.TemporaryDirectory(prefix="crystal-eyes-"))
    folder = Path(_folders[-1].name).resolve()
    for file in files:
        if ".." in Path(file.name).parts:
            continue
        path = folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in TABLES and path.suffix.lower() not in SUFFIXES and file.bytes <= MAX_TABLE:
            path.write_bytes(place.read(file.name))
        else:
            path.write_text(f"{file.bytes} {file.changed}\n")
    (folder / ORIGIN).write_text(json.dumps(place.text))
    return folder / split(uri)[1] if table else folder


def located(dataset: Path, paths: Iterable[str]) -> list[str]:
    """The paths of a dataset's pictures: where they are in S3, if the dataset is a listing."""
    folder = dataset.parent if dataset.is_file() else dataset
    if not (folder / ORIGIN).is_file():
        return list(paths)
    place, start = json.loads((folder / ORIGIN).read_text()), len(str(folder.resolve()))
    return [place + path[start:] for path in paths]
