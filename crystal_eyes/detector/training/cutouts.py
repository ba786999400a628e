"""Cutouts of heads to paste into composed scenes: drawn from the cast, or read from a user's folder of head pictures."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from crystal_eyes.data import cast
from crystal_eyes.data.cropping import read_picture
from crystal_eyes.data.left_out import LeftOut
from crystal_eyes.detector.runtime import GRAY, HeadDetector
from crystal_eyes.detector.training.canvas import Box, Cutout, CutoutSource
from crystal_eyes.errors import UserError
from crystal_eyes.images import PictureError, flatten
from crystal_eyes.picture_files import pictures_in
from crystal_eyes.progress import track

CAST_SIDE = 256  # pixels of a cast head
MIN_LABEL_CONFIDENCE = 0.6  # of a detected head box that scenes are composed with
LABELER_SIZE = 224  # pixels of the labeler's input: one head fills it


class HeadPicture(NamedTuple):
    """A picture file of one head, and the head's box in it: left, top, right, bottom, pixels."""

    path: Path
    box: Box

    def cutout(self) -> Cutout:
        return Cutout(np.asarray(read_picture(self.path).convert("RGBA")), self.box)


def read_head_pictures(folder: Path, labeler: Path | None) -> tuple[list[HeadPicture], LeftOut]:
    """The head pictures below folder, sorted, and what was left out.

    labeler: a detector that finds the head in each picture; pictures in which it isn't confident of exactly one are left out.
    None: a picture is cut to its head, or transparent around it. Raises UserError where no head is left.
    """
    paths = pictures_in(folder)
    find_box = _detected_box(HeadDetector(labeler, LABELER_SIZE)) if labeler else _opaque_box
    heads: list[HeadPicture] = []
    left_out: LeftOut = []
    for path in track(paths, len(paths), "find the head in each picture", "pictures"):
        try:
            box = find_box(read_picture(path))
        except PictureError as error:
            left_out.append((path.relative_to(folder).as_posix(), str(error)))
            continue
        if box is None:
            left_out.append((path.relative_to(folder).as_posix(), "not exactly one head was found in it"))
        else:
            heads.append(HeadPicture(path, box))
    if not heads:
        raise UserError(f"folder {folder} contains no usable picture of a head")
    return heads, left_out


def cast_cutouts(part: int, characters: int = 600) -> CutoutSource:
    """Draws random heads of the cast. part: 0, 1 or 2; two parts share no character and no look-alikes.

    characters: how many the part has.
    """
    people = [one for place, one in enumerate(cast.make_cast(3 * characters, seed=0)) if place // cast.FAMILY % 3 == part]

    def draw_cutout(rng: np.random.Generator) -> Cutout:
        person = people[rng.integers(len(people))]
        drawing = random.Random(int(rng.integers(2**31)))
        picture, box = cast.upright_head(person, drawing, CAST_SIDE, line_art=rng.random() < 0.15)
        return Cutout(np.asarray(picture), box)

    return draw_cutout


def mixed_cutouts(heads: Sequence[HeadPicture], draw_other: CutoutSource, share: float = 0.75) -> CutoutSource:
    """Draws from the head pictures with probability `share`, else from the other source."""

    def draw_cutout(rng: np.random.Generator) -> Cutout:
        return heads[int(rng.integers(len(heads)))].cutout() if rng.random() < share else draw_other(rng)

    return draw_cutout


def _opaque_box(picture: Image.Image) -> Box | None:
    return picture.getchannel("A").getbbox() if picture.mode == "RGBA" else (0, 0, *picture.size)


def _detected_box(detector: HeadDetector) -> Callable[[Image.Image], Box | None]:
    def find_box(picture: Image.Image) -> Box | None:
        pixels = np.asarray(flatten(picture, (GRAY, GRAY, GRAY)))
        # a head that fills its picture is detected better with some space around it
        margin = max(4, round(0.15 * max(picture.size)))
        padded = np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), constant_values=GRAY)
        boxes, scores = detector.detect(padded, 0.3)
        if len(scores) != 1 or scores[0] < MIN_LABEL_CONFIDENCE:
            return None
        left, top, right, bottom = np.clip(boxes[0] - margin, 0, [*picture.size, *picture.size]).tolist()
        return left, top, right, bottom

    return find_box
