"""Pack what a detector is trained from on a machine without network: pictures, heads, objects, code and wheels.

    python benchmarks/gpu/detector_pack.py OUT --labels FOLDER [FOLDER ...] --characters FOLDER --detector models/head-detector

OUT/sources.zip holds pictures re-encoded small and sources.json: for each its kind, part (train, val) and boxes. The fixed test
third of the labels, a seventh of the characters and the sets in TEST_SETS are left out: benchmarks/detector/score.py measures
with them. OUT/code is the library with detector_train.py. Wheels are added by hand (see README.md).
"""

import argparse
import csv
import hashlib
import io
import json
import random
import shutil
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.detector.corrections import corrected, corrections
from crystal_eyes.boxes import iou
from crystal_eyes.data import cast
from crystal_eyes.detector.runtime import GRAY, HeadDetector
from crystal_eyes.detector.training.annotated_pictures import split
from crystal_eyes.detector.training.labels import read_labels
from crystal_eyes.images import flatten, open_picture

ROOT = Path(__file__).resolve().parents[2]
PICTURE_SIDE, HEAD_SIDE, CAST_SIDE, OBJECT_SIDE = 800, 112, 144, 80  # pixels of the longer side
PICTURE_QUALITY, QUALITY, ALPHA_QUALITY = 80, 58, 50  # of WebP
TEST_SETS = ("dafre", "fanart_simp", "fanart_few", "onepiece_web", "starrail", "lovelive_fanart", "zzz")
HEADS_OF_A_SET = 45
MORE_HEADS = {
    "dokkan": 170, "arknights": 150, "kancolle": 110, "touhou": 110, "aceattorney": 80, "danganronpa": 80, "optc": 170,
    "holoen": 200, "fgo": 80, "moeimouto": 100, "umamusume": 60, "feheroes": 100, "shinycolors": 60, "pcr": 60,
}  # fmt: skip
# ranges of code points of emoji without people, faces, masks and heads of animals
OBJECTS = (
    (0x1F300, 0x1F310), (0x1F324, 0x1F32C), (0x1F32D, 0x1F384), (0x1F386, 0x1F38D), (0x1F38F, 0x1F3AC), (0x1F3AE, 0x1F3C1),
    (0x1F3C5, 0x1F3C6), (0x1F3C8, 0x1F3C9), (0x1F3CD, 0x1F3F0), (0x1F3F8, 0x1F42C), (0x1F450, 0x1F462), (0x1F488, 0x1F4FF),
    (0x1F50B, 0x1F52E), (0x1F680, 0x1F6A2), (0x1F6A8, 0x1F6B2), (0x1F950, 0x1F96F), (0x1F980, 0x1F980), (0x1F982, 0x1F983),
    (0x1F985, 0x1F989), (0x1F98B, 0x1F98B), (0x1F98D, 0x1F991), (0x1F994, 0x1F997), (0x1F998, 0x1F99C), (0x1F99E, 0x1F9A2),
    (0x1F9C0, 0x1F9CC), (0x1F9EA, 0x1F9F7), (0x1FA70, 0x1FA85), (0x1FA90, 0x1FAA8), (0x1FAB0, 0x1FABA), (0x1FAD0, 0x1FAD9),
)  # fmt: skip

# what detector_train.py imports of the library
CODE = ("*.py", "detector/*.py", "detector/training/*.py", "evaluation/*.py")

Source = tuple[dict[str, Any], Image.Image]  # a record for sources.json, and the picture


def part_of(name: str) -> str:
    """ "test" for a seventh of all names, "val" for a twentieth, else "train"."""
    place = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32
    return "test" if place < 1 / 7 else "val" if place < 1 / 7 + 1 / 20 else "train"


def labeled(folders: list[Path]) -> Iterator[Source]:
    """Whole pictures with the boxes of their heads."""
    for folder in folders:
        parts = split(corrected(folder))
        for part in ("train", "val"):
            for one in parts[part]:
                picture = flatten(open_picture(one.path.read_bytes()))
                scale = min(1, PICTURE_SIDE / max(picture.size))
                yield {"kind": "picture", "part": part, "boxes": (one.boxes * scale).tolist()}, picture


def faces(folder: Path) -> Iterator[Source]:
    """Frames that are labeled with faces only, with the boxes of heads that the corrections give them."""
    for number, (file, boxes) in enumerate(sorted(corrections(folder).items())):
        picture = flatten(open_picture((folder / file).read_bytes()))
        scale = min(1, PICTURE_SIDE / max(picture.size))
        yield {"kind": "picture", "part": "train" if number % 5 else "val", "boxes": (boxes * scale).tolist()}, picture


class HeadBoxes:
    """The head's box in pictures of one head: where a detector finds it alike in several frames around the picture."""

    FRAMES = (0.12, 192), (0.3, 224), (0.55, 256)  # margin as a share of the longer side, input size

    def __init__(self, path: Path):
        self.detector = HeadDetector(path, threads=1)

    def find(self, picture: Image.Image) -> np.ndarray | None:
        """float [4], pixels; None where the frames disagree or show several heads."""
        pixels = np.asarray(flatten(picture, (GRAY, GRAY, GRAY)))
        found = []
        for share, size in self.FRAMES:
            self.detector.image_size = size
            margin = round(share * max(picture.size))
            padded = np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), constant_values=GRAY)
            boxes, scores = self.detector.detect(padded, 0.25)
            if len(scores) > 1 and scores[1] > 0.4:
                return None
            if len(scores):
                found.append(np.clip(boxes[0] - margin, 0, [*picture.size] * 2))
        middle = np.median(found, axis=0).astype(np.float32) if found else np.zeros(4, np.float32)
        agree = sum(iou(box[None].astype(np.float32), middle[None])[0, 0] > 0.75 for box in found)
        return middle if agree >= 2 else None


FINDER: list[HeadBoxes] = []  # of each worker process


def start_finder(path: Path) -> None:
    FINDER.append(HeadBoxes(path))


def find_head(path: Path) -> np.ndarray | None:
    return FINDER[0].find(open_picture(path.read_bytes()))


def heads(folder: Path, pool: Pool) -> Iterator[Source]:
    """Pictures of one head. Where it is not found with confidence, but lies alike in the others of its set, it lies there."""
    sets: dict[str, list[tuple[str, dict[str, str]]]] = defaultdict(list)
    rng = random.Random(0)
    with (folder / "manifest.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            part = part_of(f"{row['series']}/{row['character']}")
            if row["set"] not in TEST_SETS and part != "test":
                sets[row["set"]].append((part, row))
    for name, rows in sets.items():
        wanted = MORE_HEADS.get(name, HEADS_OF_A_SET)
        chosen = rng.sample(rows, min(len(rows), round(1.15 * wanted)))
        pictures = [open_picture((folder / row["file"]).read_bytes()) for _, row in chosen]
        boxes = pool.map(find_head, [folder / row["file"] for _, row in chosen], 4)
        known = [box / np.tile(picture.size, 2) for box, picture in zip(boxes, pictures) if box is not None]
        usual = np.median(known, axis=0) if known else np.array([0, 0, 1, 1])
        alike = len(known) >= 10 and float(np.percentile(np.abs(known - usual), 80)) < 0.07
        count = 0
        for (part, _), picture, box in zip(chosen, pictures, boxes):
            if box is None and alike:
                box = usual * np.tile(picture.size, 2)
            if box is not None and count < wanted:
                count += 1
                scale = min(1, HEAD_SIDE / max(picture.size))
                yield {"kind": "head", "part": part, "boxes": [(box * scale).tolist()]}, picture
        print(f"{name}: {len(known)} of {len(chosen)} heads found, {count} used", flush=True)


def sketches(folder: Path, pool: Pool, left_out: set[str]) -> Iterator[Source]:
    """Line drawings of heads and the same finished, of artists that are not left out."""
    with (folder / "pairs.csv").open() as file:
        pairs = {row["pair"]: row["artist"] for row in csv.DictReader(file)}
    artists = {pairs[name] for name in left_out if name in pairs}
    for pair, artist in pairs.items():
        for kind in ("line", "colour"):
            path = folder / f"{pair}_{kind}.webp"
            box = pool.apply(find_head, (path,)) if artist not in artists else None
            if box is not None:
                picture = open_picture(path.read_bytes())
                scale = min(1, HEAD_SIDE / max(picture.size))
                yield {"kind": "head", "part": "train", "boxes": [(box * scale).tolist()]}, picture


def cast_heads(count: int) -> Iterator[Source]:
    """Heads of the built-in cast, of its first part (the one for training)."""
    people = [one for place, one in enumerate(cast.make_cast(1800, seed=0)) if place // cast.FAMILY % 3 == 0]
    rng = random.Random(0)
    for number, person in enumerate(rng.sample(people, count)):
        picture, box = cast.upright_head(person, rng, CAST_SIDE, line_art=number % 6 == 0)
        scale = min(1, CAST_SIDE / max(picture.size))
        part = "val" if number % 20 == 0 else "train"
        yield {"kind": "cast", "part": part, "boxes": [[side * scale for side in box]]}, picture


def objects(font: Path) -> Iterator[Source]:
    """Emoji that show no head."""
    from fontTools.ttLib import TTFont

    opened = TTFont(font)
    names, glyphs = opened.getBestCmap(), opened["CBDT"].strikeData[0]
    for first, last in OBJECTS:
        for point in range(first, last + 1):
            if point in names and names[point] in glyphs:
                picture = Image.open(io.BytesIO(glyphs[names[point]].imageData)).convert("RGBA")
                yield {"kind": "object", "part": "train", "boxes": []}, picture.crop(picture.getchannel("A").getbbox())


SIDES = {"picture": PICTURE_SIDE, "head": HEAD_SIDE, "cast": CAST_SIDE, "object": OBJECT_SIDE}


def encode(picture: Image.Image, kind: str) -> bytes:
    if picture.mode == "RGBA" and np.mean(np.asarray(picture)[..., 3] < 128) < 0.02:
        picture = flatten(picture)
    picture = picture.copy()
    picture.thumbnail((SIDES[kind],) * 2, Image.Resampling.LANCZOS, reducing_gap=None)
    out = io.BytesIO()
    quality = PICTURE_QUALITY if kind == "picture" else QUALITY
    picture.save(out, "WEBP", quality=quality, alpha_quality=ALPHA_QUALITY, method=6)
    return out.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--labels", type=Path, nargs="+", required=True, help="folders of pictures with boxes of heads")
    parser.add_argument("--faces", type=Path, help="folder of frames whose heads corrections.json gives")
    parser.add_argument("--characters", type=Path, required=True, help="folder with manifest.csv and pictures of heads")
    parser.add_argument("--sketches", type=Path, help="folder with pairs.csv, line drawings and finished heads")
    parser.add_argument("--font", type=Path, help="color font whose emoji are pasted as objects, such as NotoColorEmoji.ttf")
    parser.add_argument("--detector", type=Path, required=True, help="detector that finds the heads in pictures of one head")
    given = parser.parse_args()
    tests = {Path(one.file).stem.split("_")[0] for folder in given.labels for one in split(read_labels(folder)[0])["test"]}
    given.out.mkdir(parents=True, exist_ok=True)
    records, bytes_of = [], defaultdict(int)
    incomplete = given.out / "sources.part"
    with Pool(4, start_finder, (given.detector,)) as pool, zipfile.ZipFile(incomplete, "w") as packed:

        def add(sources: Iterator[Source]) -> None:
            for record, picture in sources:
                data = encode(picture, record["kind"])
                record["file"] = f"{len(records):05d}.webp"
                record["boxes"] = [[round(float(v), 1) for v in box] for box in record["boxes"]]
                packed.writestr(record["file"], data)
                records.append(record)
                bytes_of[record["kind"]] += len(data)

        add(labeled(given.labels))
        if given.faces:
            add(faces(given.faces))
        add(heads(given.characters, pool))
        if given.sketches:
            add(sketches(given.sketches, pool, tests))
        add(cast_heads(320))
        if given.font:
            add(objects(given.font))
        packed.writestr("sources.json", json.dumps(records))
    incomplete.replace(given.out / "sources.zip")
    for kind, size in bytes_of.items():
        print(f"{kind}: {sum(record['kind'] == kind for record in records)} pictures, {size / 1e6:.2f} MB")
    code = given.out / "code"
    shutil.rmtree(code, ignore_errors=True)
    for name in CODE:
        for path in sorted((ROOT / "crystal_eyes").glob(name)):
            target = code / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    shutil.copy(Path(__file__).with_name("detector_train.py"), code)


if __name__ == "__main__":
    main()
