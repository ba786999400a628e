"""Which pictures of a dataset are used: readable, distinct, and enough of them a character."""

import hashlib
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from crystal_eyes.image_stats import HASH_SIDE, difference_hash, is_monochrome
from crystal_eyes.images import PictureError, flatten, open_picture
from crystal_eyes.progress import track


class Checked(NamedTuple):
    """What decoding a picture once tells. `problem` is "" for a good one."""

    problem: str
    width: int = 0
    height: int = 0
    monochrome: bool = False
    hashes: np.ndarray | None = None  # uint64 [2, 4]: 256 bits of the picture and of its mirror image


def head_bytes(path: str, box: tuple[float, float, float, float] | None) -> bytes:
    """The encoded bytes of one head: the file as it is, or the box cut from it, as PNG. Raises PictureError, OSError."""
    data = Path(path).read_bytes()
    if box is None:
        return data
    picture = open_picture(data)
    left, top, right, bottom = box
    if max(box) <= 1.0:  # fractions of the picture's sides
        left, top, right, bottom = left * picture.width, top * picture.height, right * picture.width, bottom * picture.height
    left, top = max(0, round(left)), max(0, round(top))
    right, bottom = min(picture.width, round(right)), min(picture.height, round(bottom))
    if right - left < 2 or bottom - top < 2:
        raise PictureError(f"box {box} lies outside the {picture.width} x {picture.height} picture")
    out = io.BytesIO()
    picture.crop((left, top, right, bottom)).save(out, "PNG")
    return out.getvalue()


def check(path: str, box: tuple | None) -> Checked:
    """Decode one head once."""
    try:
        data = head_bytes(path, box)
        picture = flatten(open_picture(data))
    except PictureError as error:
        return Checked(str(error))
    except OSError as error:
        return Checked(f"can't be read: {error.strerror}")
    mirrored = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    hashes = np.stack([difference_hash(picture), difference_hash(mirrored)])
    return Checked("", *picture.size, is_monochrome(picture), hashes)


def select(
    table: pd.DataFrame, *, min_pictures: int, pictures_per_character: int, near_duplicate_bits: int, seed: int
) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """The rows of a dataset's table that are used, with width, height and monochrome; and the others, as (file, why)."""
    dropped: list[tuple[str, str]] = []

    def keep(table: pd.DataFrame, mask: np.ndarray, why: str | list[str]) -> pd.DataFrame:
        whys = np.broadcast_to(np.array(why, dtype=object), len(table))
        dropped.extend(zip(table["file"][~mask], whys[~mask]))
        return table[mask].reset_index(drop=True)

    def enough(table: pd.DataFrame) -> pd.DataFrame:
        counts = table.groupby("character")["file"].transform("size").to_numpy()
        return keep(table, counts >= min_pictures, f"its character has fewer than {min_pictures} pictures")

    table = enough(table)  # before decoding: a long tail of tiny characters costs nothing
    with ThreadPoolExecutor() as pool:
        checks = list(track(pool.map(check, table["path"], table["box"]), len(table), "check pictures", "pictures"))
    monochrome = [c.monochrome if given is None else given for given, c in zip(table["monochrome"], checks)]
    table = table.assign(
        width=[c.width for c in checks], height=[c.height for c in checks], monochrome=monochrome, check=checks
    )
    table = keep(table, np.array([not c.problem for c in checks], bool), [c.problem for c in checks])
    table = keep(table, _distinct(table, near_duplicate_bits), "near-duplicate of another of its character")
    table = enough(table)
    if pictures_per_character:
        mask = np.zeros(len(table), bool)
        for character, rows in _characters(table):
            take = np.random.default_rng([seed, stable_number(character)])
            mask[take.permutation(rows)[:pictures_per_character]] = True
        table = keep(table, mask, f"beyond {pictures_per_character} pictures of its character")
    return table.drop(columns="check"), dropped


def stable_number(text: str) -> int:
    """A 64-bit number of a text, the same in every process: a character's draw doesn't depend on the other characters."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def _characters(table: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    yield from ((name, np.asarray(rows)) for name, rows in table.groupby("character", sort=True).indices.items())


def _distinct(table: pd.DataFrame, bits: int) -> np.ndarray:
    """bool [rows]: the first of each group of near-duplicates (mirror images too) within a character."""
    mask = np.ones(len(table), bool)
    if bits < 0:
        return mask
    for _, rows in _characters(table):
        kept, count = np.empty((len(rows), HASH_SIDE**2 // 64), np.uint64), 0
        for row in rows:
            hashes = table["check"].iat[row].hashes
            differing = np.bitwise_count(kept[:count] ^ hashes[:, None]).sum(axis=2)  # [2, count]
            mask[row] = not (differing <= bits).any()
            if mask[row]:
                kept[count] = hashes[0]
                count += 1
    return mask
