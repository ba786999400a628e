"""Which heads of a dataset are used: readable ones of one character, no near-duplicates, and enough of them per character."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pandas as pd

from crystal_eyes.data.cropping import LabeledBox, head_bytes
from crystal_eyes.data.left_out import LeftOut
from crystal_eyes.data.options import SelectionOptions
from crystal_eyes.data.same_pictures import THUMBNAIL, same_elsewhere, thumbnail
from crystal_eyes.data.stable_number import stable_number
from crystal_eyes.errors import said
from crystal_eyes.image_stats import HASH_SIDE, hashes_of_sides, is_monochrome
from crystal_eyes.images import PictureError, flatten, open_picture
from crystal_eyes.progress import track

SAME_PICTURE = "the same picture is also labeled"  # how the reason begins for a picture under two characters
NEAR_DUPLICATE = "near-duplicate of another picture of its character"


class Inspection(NamedTuple):
    """What decoding a head tells. `problem` is "" for a usable one."""

    problem: str
    width: int = 0  # pixels
    height: int = 0
    monochrome: bool = False
    hashes: np.ndarray = np.empty((2, 0), np.uint64)  # see hashes_of_sides
    thumbnail: np.ndarray = np.empty((THUMBNAIL, THUMBNAIL, 3), np.uint8)  # see same_pictures.thumbnail


def inspect_head(path: str, box: LabeledBox | None) -> Inspection:
    """Decode one head."""
    try:
        picture = flatten(open_picture(head_bytes(path, box)))
    except PictureError as error:
        return Inspection(str(error))
    except OSError as error:
        return Inspection(f"can't be read: {said(error)}")
    return Inspection("", *picture.size, is_monochrome(picture), hashes_of_sides(picture), thumbnail(picture))


def inspect_here(table: pd.DataFrame) -> Iterator[Inspection]:
    """Decode the heads of a dataset's table, in its order, in this process."""
    with ThreadPoolExecutor() as pool:
        yield from track(pool.map(inspect_head, table["path"], table["box"]), len(table), "check pictures", "pictures")


def select(
    table: pd.DataFrame,
    options: SelectionOptions,
    seed: int,
    inspect: Callable[[pd.DataFrame], Iterable[Inspection]] = inspect_here,
) -> tuple[pd.DataFrame, LeftOut]:
    """The rows of a dataset's table that are used, with width, height and monochrome; and the others.

    table: layouts.COLUMNS. seed: of the draw where options.pictures_per_character limits a character. inspect: decodes the
    heads of a table, in its order.
    """
    left_out: LeftOut = []
    too_few = f"its character has fewer than {options.min_pictures} pictures"

    def keep(table: pd.DataFrame, mask: np.ndarray, reason: str | list[str]) -> pd.DataFrame:
        reasons = np.broadcast_to(np.array(reason, dtype=object), len(table))
        left_out.extend(zip(table["file"][~mask], reasons[~mask]))
        return table[mask].reset_index(drop=True)

    def enough(table: pd.DataFrame) -> np.ndarray:
        return table.groupby("character")["file"].transform("size").to_numpy() >= options.min_pictures

    table = keep(table, enough(table), too_few)  # before decoding: a long tail of tiny characters costs nothing
    inspections = list(inspect(table))
    table = table.assign(
        width=[one.width for one in inspections],
        height=[one.height for one in inspections],
        monochrome=[one.monochrome if given is None else given for given, one in zip(table["monochrome"], inspections)],
        inspection=np.arange(len(table)),
    )
    table = keep(table, np.array([not one.problem for one in inspections], bool), [one.problem for one in inspections])
    if len(table):  # before near-duplicates are dropped: any of them may be the one that is labeled differently
        elsewhere = _labeled_elsewhere(table, inspections)
        table = keep(table, elsewhere < 0, [f"{SAME_PICTURE} {table['character'][row]}" for row in elsewhere.clip(0)])
    hashes = [inspections[number].hashes for number in table["inspection"]]
    distinct, reasons = _distinct(table, hashes, options.near_duplicate_bits)
    table = keep(table, distinct, reasons)
    table = keep(table, enough(table), too_few)
    if options.pictures_per_character:
        mask = np.zeros(len(table), bool)
        for character, rows in _characters(table):
            rng = np.random.default_rng([seed, stable_number(character)])
            mask[rng.permutation(rows)[: options.pictures_per_character]] = True
        table = keep(table, mask, f"exceeds the limit of {options.pictures_per_character} pictures per character")
    return table.drop(columns="inspection"), left_out


def _characters(table: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    """(name, its rows) of each character."""
    for name, rows in table.groupby("character", sort=True).indices.items():
        yield str(name), np.asarray(rows)


def _labeled_elsewhere(table: pd.DataFrame, inspections: list[Inspection]) -> np.ndarray:
    """int64 [rows]: a row of another character that is the same picture, or -1."""
    of_rows = [inspections[number] for number in table["inspection"]]
    return same_elsewhere(
        np.stack([one.hashes for one in of_rows]),
        np.stack([one.thumbnail for one in of_rows]),
        pd.factorize(table["character"])[0],
    )


def _distinct(table: pd.DataFrame, hashes: list[np.ndarray], bits: int) -> tuple[np.ndarray, list[str]]:
    """bool [rows]: the first of each group of near-duplicates within a character; why the others are not."""
    twins = near_duplicates(table, hashes, bits)
    splits = table["split"].to_numpy(dtype=str)
    across = (twins >= 0) & (splits[twins] != splits)
    return twins < 0, [NEAR_DUPLICATE + (", in another split" if one else "") for one in across]


def near_duplicates(table: pd.DataFrame, hashes: list[np.ndarray], bits: int) -> np.ndarray:
    """int64 [rows]: the earlier row of its character that a row is a near-duplicate of (mirror images too), -1 for the first.

    Where there are several, one in another of the dataset's own splits. hashes: uint64 [2, 4] of each row. With bits below 0,
    only duplicates in another split count.
    """
    twins = np.full(len(table), -1)
    splits = table["split"].to_numpy(dtype=str)
    if bits < 0 and len(set(splits)) < 2:
        return twins
    for _, rows in _characters(table):
        kept, kept_rows = np.empty((len(rows), HASH_SIDE**2 // 64), np.uint64), np.empty(len(rows), np.int64)
        count = 0
        for row in rows:
            differing = np.bitwise_count(kept[:count] ^ hashes[row][:, None]).sum(axis=2)  # [2, count]
            near = (differing <= max(bits, 0)).any(axis=0)
            other_split = splits[kept_rows[:count]] != splits[row]
            if bits < 0:
                near &= other_split
            if near.any():
                twins[row] = kept_rows[(near & other_split if (near & other_split).any() else near).argmax()]
            else:
                kept[count], kept_rows[count] = hashes[row][0], row
                count += 1
    return twins
