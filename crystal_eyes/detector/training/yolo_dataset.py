"""Training pictures as files in the layout that YOLO trains from: images/PART, labels/PART and the list PART.txt."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np


class TrainingPicture(NamedTuple):
    """A picture of the training data: its name, uint8 RGB [h, w, 3], and its boxes float32 [n, 4] in pixels."""

    name: str
    pixels: np.ndarray
    boxes: np.ndarray


def write(
    folder: Path, part: str, pictures: Iterable[tuple[str, np.ndarray, np.ndarray]], repeat: Callable[[str], int] = lambda _: 1
) -> int:
    """Write a part of the data; returns the number of pictures. PART.txt is written last: where it exists, all is written.

    pictures: TrainingPictures. repeat: how often a picture of that name is listed, and thus shown in an epoch.
    """
    lines = []
    for picture in pictures:
        write_picture(folder, part, TrainingPicture(*picture))
        lines.append((picture[0], repeat(picture[0])))
    write_list(folder, part, lines)
    return len(lines)


def write_picture(folder: Path, part: str, picture: TrainingPicture) -> None:
    """Write one picture and its boxes. Until write_list, the part does not contain it."""
    name, pixels, boxes = picture
    for kind in ("images", "labels"):
        (folder / kind / part).mkdir(parents=True, exist_ok=True)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 92])
    (folder / "images" / part / f"{name}.jpg").write_bytes(data.tobytes())  # cv2.imwrite doesn't report a full disk
    height, width = pixels.shape[:2]
    fractions = boxes / [width, height, width, height]
    centers, sides = (fractions[:, :2] + fractions[:, 2:]) / 2, fractions[:, 2:] - fractions[:, :2]
    rows = [f"0 {x:.6f} {y:.6f} {w:.6f} {h:.6f}" for (x, y), (w, h) in zip(centers, sides)]
    (folder / "labels" / part / f"{name}.txt").write_text("\n".join(rows))


def write_list(folder: Path, part: str, names: Iterable[tuple[str, int]]) -> None:
    """Write PART.txt: the names of the part's pictures, and how often each is shown in an epoch."""
    folder.mkdir(parents=True, exist_ok=True)
    incomplete = folder / f"{part}.txt.part"
    incomplete.write_text("\n".join(f"./images/{part}/{name}.jpg" for name, times in names for _ in range(times)))
    os.replace(incomplete, folder / f"{part}.txt")


def read(folder: Path, part: str, step: int = 1) -> Iterator[TrainingPicture]:
    """The pictures of a part that `write` wrote, each once; step: only every step-th."""
    for line in list(dict.fromkeys((folder / f"{part}.txt").read_text().splitlines()))[::step]:
        labels = (folder / line.replace("/images/", "/labels/").replace(".jpg", ".txt")).read_text().splitlines()
        decoded = cv2.imread(str(folder / line))
        assert decoded is not None, f"{folder / line} can't be read"
        pixels = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
        height, width = pixels.shape[:2]
        x, y, w, h = np.array([label.split()[1:] for label in labels], np.float32).reshape(-1, 4).T
        boxes = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=1) * [width, height, width, height]
        yield TrainingPicture(Path(line).stem, pixels, boxes.astype(np.float32))
