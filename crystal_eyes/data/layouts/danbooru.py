"""The Danbooru 2018 Anime Character Recognition Dataset (Wang, 2019): faces.tsv, tagIds.tsv, optional *Split.tsv, pictures.

Source: https://github.com/grapeot/Danbooru2018AnimeCharacterRecognitionDataset. faces.tsv has one line per head: file, tag id,
and "left, top, right, bottom, confidence" of its detection. Despite the file's name, the README calls them head bounding boxes
and names the detector, https://github.com/grapeot/AnimeHeadDetector: it finds heads rather than faces, also where no face is
visible, and returns integer pixels of the picture it was given. So the boxes are heads in pixels. They go through the crop rule
as they are, without the estimate of a head from a face. The pictures have to be those it was run on, not scaled or cut copies.
"""

from pathlib import Path

from crystal_eyes.data.cropping import LabeledBox
from crystal_eyes.data.layouts.base import LabeledPicture, Resolver, walk, walked_files
from crystal_eyes.data.left_out import LeftOut
from crystal_eyes.data.names import label
from crystal_eyes.errors import UserError

NAME = "the Danbooru 2018 dataset"
HEADS, TAGS = "faces.tsv", "tagIds.tsv"
SPLITS = {"train": "train", "val": "validation", "test": "test"}  # by the start of the *Split.tsv files' names


def detect(path: Path) -> bool:
    return path.name == HEADS or (path / HEADS).is_file()


def read(path: Path, notes: list[str] | None = None) -> tuple[list[LabeledPicture], LeftOut]:
    root = _root(path)
    if not (root / TAGS).is_file():
        raise UserError(f"{root / TAGS} is missing: the Danbooru 2018 dataset needs it next to {HEADS}")
    names = _names(root)
    splits = _splits(root)
    # the pictures may lie in any folder below
    found = {name: str(folder / name) for folder, names_in in walk(root) for name in names_in}
    pictures, left_out, resolve = [], LeftOut(), Resolver()
    for number, (file, tag, detection) in enumerate(_lines(root / HEADS, 3), 1):
        file = file.replace("\\", "/")  # the published file has Windows paths
        name = file.rpartition("/")[2]
        box, confidence = _detection(detection, f"{root / HEADS}: {detection!r} of {file} (entry {number})")
        picture = root / file if (root / file).is_file() else found.get(name)
        if tag not in names:
            left_out.append((file, f"tag {tag} is not in {TAGS}"))
        elif picture is None:
            left_out.append((file, f"listed in {HEADS} but missing on disk"))
        else:
            picture_id = Path(name).stem
            pictures.append(
                LabeledPicture(
                    resolve(picture),
                    file,
                    names[tag],
                    artwork=picture_id,  # heads of one illustration stay on one side of every split
                    split=splits.get(picture_id, ""),
                    box=box,
                    confidence=confidence,
                )
            )
    return pictures, left_out


def files(path: Path) -> list[Path]:
    return sorted(walked_files(_root(path)))


def _root(path: Path) -> Path:
    return path.parent if path.is_file() else path


def _names(root: Path) -> dict[str, str]:
    """Characters by tag id; the two columns may be in either order."""
    names = {}
    for first, second in _lines(root / TAGS, 2):
        name, tag = (first, second) if second.isdigit() else (second, first)
        names[tag] = label(name)
    return names


def _splits(root: Path) -> dict[str, str]:
    """Splits by a picture's id."""
    splits: dict[str, str] = {}
    for start, split in SPLITS.items():
        path = root / f"{start}Split.tsv"
        if path.is_file():
            splits |= {line[0]: split for line in _lines(path, 1)}
    return splits


def _detection(text: str, where: str) -> tuple[LabeledBox, float]:
    try:
        left, top, right, bottom, confidence = (float(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"{where} is not left,top,right,bottom,confidence") from None
    if max(left, top, right, bottom) <= 1:
        raise UserError(f"{where} seems to be in fractions of the picture, but boxes of this dataset must be in pixels")
    return LabeledBox(left, top, right, bottom), confidence


def _lines(path: Path, columns: int) -> list[list[str]]:
    """The first `columns` tab-separated columns of every line that is not empty."""
    lines = []
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} can't be read ({error}): save it as UTF-8") from None
    for number, line in enumerate(text.splitlines(), 1):
        parts = line.strip().split("\t")
        if line.strip() and len(parts) < columns:
            raise UserError(f"{path} line {number} has {len(parts)} tab-separated columns, but {columns} are needed")
        if line.strip():
            lines.append(parts[:columns])
    return lines
