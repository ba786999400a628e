"""The pictures that a detector is trained on, as files in the layout that YOLO trains from."""

import hashlib
import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from crystal_eyes.boxes import area
from crystal_eyes.data import cast
from crystal_eyes.detector.training.heads import Head
from crystal_eyes.detector.training.labels import Labelled
from crystal_eyes.detector.training.scenes import Ground, Sprite, Take, compose
from crystal_eyes.images import flatten, open_picture

LONGEST = 1024  # px of a stored picture's longer side: more is never seen by the network
SPRITE = 256  # px of a drawn head

Picture = tuple[str, np.ndarray, np.ndarray]  # name, uint8 RGB [h, w, 3], float32 [n, 4]


def split(labelled: list[Labelled]) -> dict[str, list[Labelled]]:
    """A fixed third for "test", a tenth of the rest for "val", the others for "train": by the names alone."""
    order = sorted(labelled, key=lambda one: hashlib.sha256(one.file.encode()).digest())
    test = len(order) // 3
    val = test + max(1, (len(order) - test) // 10) if len(order) > test + 1 else test
    return {"test": order[:test], "val": order[test:val], "train": order[val:]}


def load(labelled: Labelled) -> tuple[np.ndarray, np.ndarray]:
    """uint8 RGB, its longer side at most LONGEST px, and its boxes. Raises PictureError."""
    picture = np.asarray(flatten(open_picture(labelled.path.read_bytes())))
    scale = min(1.0, LONGEST / max(picture.shape[:2]))
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return picture, labelled.boxes * scale


class Loaded(Sequence):
    """Labelled pictures as load gives them, loaded when they are asked for: all of them might not fit into memory."""

    def __init__(self, labelled: list[Labelled]):
        self.labelled = labelled

    def __len__(self) -> int:
        return len(self.labelled)

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        return load(self.labelled[number])


def drawn_heads(part: int, characters: int = 600) -> Take:
    """Draws heads of the cast. part: 0, 1 or 2; two parts share no character and no look-alike of one."""
    people = [one for place, one in enumerate(cast.make_cast(3 * characters, seed=0)) if place // cast.FAMILY % 3 == part]

    def take(rng: np.random.Generator) -> Sprite:
        person = people[rng.integers(len(people))]
        drawing = random.Random(int(rng.integers(2**31)))
        picture, box = cast.upright_head(person, drawing, SPRITE, line_art=rng.random() < 0.15)
        return Sprite(np.asarray(picture), box)

    return take


def pictured_heads(heads: list[Head], drawn: Take, share: float = 0.75) -> Take:
    """Draws from given heads, and for the rest from the cast."""

    def take(rng: np.random.Generator) -> Sprite:
        return heads[rng.integers(len(heads))].sprite() if rng.random() < share else drawn(rng)

    return take


def grounds(pictures: Sequence[tuple[np.ndarray, np.ndarray]]) -> Ground:
    """Draws a part of a labelled picture, half of its sides or more. A head mostly cut away is painted over."""

    def ground(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        picture, boxes = pictures[rng.integers(len(pictures))]
        height, width = picture.shape[:2]
        w, h = (min(side, max(32, int(side * rng.uniform(0.5, 1)))) for side in (width, height))
        x, y = rng.integers(0, width - w + 1), rng.integers(0, height - h + 1)
        inside = np.clip(boxes - [x, y, x, y], 0, [w, h, w, h]).astype(np.float32)
        part = area(inside) / np.maximum(area(boxes), 1)
        cut = picture[y : y + h, x : x + w].copy()
        for box in inside[(part > 0) & (part <= 0.5)].astype(int):  # half a head without a box would teach to miss it
            cut[box[1] : box[3], box[0] : box[2]] = rng.integers(0, 256, 3)
        return cut, inside[part > 0.5]

    return ground


def scenes(count: int, name: str, seed: list[int], take: Take, ground: Ground | None = None) -> Iterable[Picture]:
    """Composed pictures, each from a seed of its own: the first ones are the same whatever the count."""
    for number in range(count):
        yield f"{name}-{number:05d}", *compose(np.random.default_rng([*seed, number]), take, ground)


def write(folder: Path, part: str, pictures: Iterable[Picture], repeat: Callable[[str], int] = lambda name: 1) -> int:
    """Write folder/images/PART, labels/PART and PART.txt; returns how many pictures. repeat: how often a name is listed."""
    for kind in ("images", "labels"):
        (folder / kind / part).mkdir(parents=True, exist_ok=True)
    lines, count = [], 0
    for name, picture, boxes in pictures:
        _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 92])
        (folder / "images" / part / f"{name}.jpg").write_bytes(data)  # imwrite would keep silent about a full disk
        height, width = picture.shape[:2]
        relative = boxes / [width, height, width, height]
        middles, sides = (relative[:, :2] + relative[:, 2:]) / 2, relative[:, 2:] - relative[:, :2]
        rows = [f"0 {x:.6f} {y:.6f} {w:.6f} {h:.6f}" for (x, y), (w, h) in zip(middles, sides)]
        (folder / "labels" / part / f"{name}.txt").write_text("\n".join(rows))
        lines += [f"./images/{part}/{name}.jpg"] * repeat(name)
        count += 1
    part_file = folder / f"{part}.txt.part"
    part_file.write_text("\n".join(lines))
    os.replace(part_file, folder / f"{part}.txt")
    return count


def read(folder: Path, part: str, step: int = 1) -> Iterator[Picture]:
    """What write left under this part, each picture once; every step-th of them."""
    for name in list(dict.fromkeys((folder / f"{part}.txt").read_text().splitlines()))[::step]:
        label = folder / name.replace("/images/", "/labels/").replace(".jpg", ".txt")
        picture = cv2.cvtColor(cv2.imread(str(folder / name)), cv2.COLOR_BGR2RGB)
        height, width = picture.shape[:2]
        x, y, w, h = np.array([line.split()[1:] for line in label.read_text().splitlines()], np.float32).reshape(-1, 4).T
        boxes = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=1) * [width, height, width, height]
        yield Path(name).stem, picture, boxes.astype(np.float32)
