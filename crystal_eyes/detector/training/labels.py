"""Reads pictures with boxes from a YOLO folder (images/ + labels/), or a table or JSON of boxes."""

import json
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from PIL import Image

from crystal_eyes.boxes import area, as_boxes, clip
from crystal_eyes.data.layouts.base import is_metadata, walk
from crystal_eyes.data.left_out import WRITTEN_BY_MACOS, LeftOut
from crystal_eyes.detector.training.annotated_pictures import AnnotatedPicture
from crystal_eyes.errors import UserError
from crystal_eyes.images import FORMATS, MAX_PIXELS, SUFFIXES, orientation

LAYOUTS = "give a folder with images/ and labels/, or one CSV, parquet or JSON file of boxes"


def read_labels(path: str | Path) -> tuple[list[AnnotatedPicture], LeftOut]:
    """The labeled pictures, sorted by file, and what was left out.

    - a folder with images/ and labels/ (nested folders allowed): labels/NAME.txt holds lines of `class center_x center_y
      width height` in fractions of the picture; an empty file says that the picture shows no head. The class is 0, or the one
      named "head" (or "face") in classes.txt or data.yaml.
    - JSON: a list of {"file": ..., "heads": [[left, top, right, bottom], ...]}, pixels
    - CSV or parquet: one row per box, columns file, left, top, right, bottom; a row without numbers: the picture shows no
      head
    A folder may hold the JSON or the table. Files are named relative to it. Raises UserError where nothing usable is left.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise UserError(f"labels {path} do not exist: {LAYOUTS}")
    left_out: LeftOut = []
    is_yolo = path.is_dir() and (path / "labels").is_dir()
    if is_yolo:
        found = _yolo(path, left_out)
    else:
        table = _only_table(path) if path.is_dir() else path
        boxes_by_file = _json(table) if table.suffix.lower() == ".json" else _table(table)
        found = [(table.parent / file, file, boxes) for file, boxes in boxes_by_file]
    labeled = []
    for picture, file, boxes in found:
        size = _size(picture, file, left_out)
        if size:
            pixels = boxes * np.array([*size, *size], np.float32) if is_yolo else boxes
            labeled.append(AnnotatedPicture(picture, file, size, _usable(pixels, size, file, left_out)))
    if not any(len(picture.boxes) for picture in labeled):
        example = f" (such as {left_out[0][0]}: {left_out[0][1]})" if left_out else ""
        raise UserError(f"labels {path} contain no usable box{example}: {LAYOUTS}")
    return sorted(labeled, key=lambda picture: picture.file), left_out


def _usable(boxes: np.ndarray, size: tuple[int, int], file: str, left_out: LeftOut) -> np.ndarray:
    """The boxes that have a size and at least a square pixel inside the picture, clipped to it."""
    inside = clip(boxes, *size)
    finite = np.isfinite(boxes).all(axis=1)
    has_size = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    visible = area(inside) >= 1
    for box, *usable in zip(boxes.tolist(), finite, has_size, visible):
        if not all(usable):
            reasons = ("is not four finite numbers", "has no size", "lies outside the picture")
            left_out.append((file, f"box {[round(v, 1) for v in box]} {reasons[usable.index(False)]}"))
    return inside[finite & has_size & visible]


def _size(picture: Path, file: str, left_out: LeftOut) -> tuple[int, int] | None:
    """Width and height in pixels, upright; None where the picture is unusable."""
    try:
        if not picture.is_file():
            left_out.append((file, "has boxes, but is missing on disk"))
            return None
        with Image.open(picture, formats=FORMATS) as opened:
            width, height = opened.size
            if width * height > MAX_PIXELS:
                left_out.append((file, f"too large: {width} x {height} pixels"))
                return None
            opened.draft("L", (32, 32))  # of a JPEG, enough is decoded to see that it is complete
            opened.load()
            return (height, width) if orientation(opened) >= 5 else (width, height)
    except Exception as error:  # decoders raise many types on damaged files
        left_out.append((file, f"can't be read as a picture ({type(error).__name__})"))
        return None


def _only_table(folder: Path) -> Path:
    found = sorted(t for t in folder.iterdir() if t.is_file() and t.suffix.lower() in (".json", ".csv", ".parquet"))
    if len(found) != 1:
        many = ", ".join(t.name for t in found)
        raise UserError(
            f"folder {folder} contains {'several tables of boxes (' + many + ')' if found else 'no boxes'}: {LAYOUTS}"
        )
    return found[0]


def _json(path: Path) -> list[tuple[str, np.ndarray]]:
    boxes: dict[str, list] = {}
    try:
        for row in json.loads(path.read_text("utf-8-sig")):
            if any(len(head) != 4 for head in row["heads"]):
                raise ValueError(f"a head of {row['file']} doesn't have four numbers")
            boxes.setdefault(str(row["file"]), []).extend(row["heads"])
        return [(file, as_boxes(heads)) for file, heads in boxes.items()]
    except (ValueError, KeyError, TypeError, OSError, OverflowError, RecursionError) as error:
        shape = '{"file": ..., "heads": [[left, top, right, bottom], ...]}'
        raise UserError(f"{path} can't be read ({str(error).splitlines()[0]}): it must be a list of {shape}") from None


def _table(path: Path) -> list[tuple[str, np.ndarray]]:
    columns = ["left", "top", "right", "bottom"]
    try:
        table = pd.read_parquet(path) if path.suffix.lower() == ".parquet" else pd.read_csv(path, dtype={"file": str})
        files, boxes = table["file"].astype(str), table[columns].to_numpy(np.float32)
    except (KeyError, ValueError, OSError) as error:
        raise UserError(
            f"{path} can't be read ({str(error).splitlines()[0]}): it needs the columns file, {', '.join(columns)}"
        ) from None
    empty = np.isnan(boxes).all(axis=1)
    return [(str(file), boxes[rows][~empty[rows]]) for file, rows in files.groupby(files).indices.items()]


def _yolo(root: Path, left_out: LeftOut) -> list[tuple[Path, str, np.ndarray]]:
    if not (root / "images").is_dir():
        raise UserError(f"folder {root} has labels/ but no images/: {LAYOUTS}")
    head = _class_of_heads(root)
    pictures: dict[Path, Path] = {}
    for path in _files_below(root / "images", SUFFIXES, left_out):
        name = path.relative_to(root / "images").with_suffix("")
        if pictures.setdefault(name, path) != path:
            left_out.append((path.relative_to(root / "images").as_posix(), f"{pictures[name].name} has the same labels"))
    labels = {p.relative_to(root / "labels").with_suffix(""): p
              for p in _files_below(root / "labels", {".txt"}, left_out) if p.name != "classes.txt"}  # fmt: skip
    without_picture = sorted(labels.keys() - pictures.keys())
    left_out += [(f"labels/{name.as_posix()}.txt", "labels without a picture") for name in without_picture]
    found = []
    for name, picture in pictures.items():
        file = picture.relative_to(root / "images").as_posix()
        if name in labels:
            found.append((picture, file, _yolo_boxes(labels[name], file, head, left_out)))
        else:
            left_out.append((file, "picture without labels (for a picture without heads, an empty file)"))
    return found


def _files_below(folder: Path, suffixes: Collection[str], left_out: LeftOut) -> list[Path]:
    """The files in a folder and below it, also in linked folders, sorted. Raises OSError if a folder can't be read."""
    found = []
    for base, names in walk(folder):
        for path in (base / name for name in names):
            if is_metadata(path.name):
                left_out.append((path.relative_to(folder.parent).as_posix(), WRITTEN_BY_MACOS))
            elif path.suffix.lower() in suffixes:
                found.append(path)
    return sorted(found)


def _class_of_heads(root: Path) -> int:
    """The number of the class named head (or face); 0 where classes have no names, or there is only one."""
    names: list[str] = []
    lists = [path for path in (root / "classes.txt", root / "labels" / "classes.txt") if path.is_file()]
    if lists:
        names = [line.strip() for line in lists[0].read_text("utf-8-sig").splitlines() if line.strip()]
    elif (root / "data.yaml").is_file():
        try:
            listed = (yaml.safe_load((root / "data.yaml").read_text("utf-8-sig")) or {}).get("names") or []
            names = [str(listed[i]) for i in sorted(listed)] if isinstance(listed, dict) else [str(name) for name in listed]
        except (yaml.YAMLError, AttributeError, TypeError, UnicodeDecodeError):
            raise UserError(f"{root / 'data.yaml'} can't be read: it needs names, a list of the classes") from None
    if len(names) > 1 and "head" not in names and "face" not in names:
        raise UserError(f"labels {root}: none of the classes {', '.join(names)} is named head (or face)")
    return next((names.index(name) for name in ("head", "face") if name in names), 0)


def _yolo_boxes(path: Path, file: str, head: int, left_out: LeftOut) -> np.ndarray:
    boxes = []
    for number, line in enumerate(path.read_text("utf-8-sig", errors="replace").splitlines(), 1):
        if not (parts := line.split()):
            continue
        try:
            if len(parts) not in (5, 6):  # a sixth number is a confidence; polygons have more
                raise ValueError
            kind, (x, y, width, height) = parts[0], map(float, parts[1:5])
            if int(float(kind)) != head:
                left_out.append((file, f"class {kind} is not the class of heads ({head})"))
                continue
        except (ValueError, OverflowError):
            left_out.append((file, f"line {number} of its labels is not `class center_x center_y width height`"))
            continue
        boxes.append((x - width / 2, y - height / 2, x + width / 2, y + height / 2))
    return as_boxes(boxes)
