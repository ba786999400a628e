"""Draws the cast into a folder: pictures, and a manifest that is a dataset of the table layout."""

import csv
import json
import multiprocessing
import os
import random
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path

from PIL import Image

from crystal_eyes.data.cast.characters import Character, make_cast
from crystal_eyes.data.cast.rendering import draw_picture
from crystal_eyes.data.options import CastOptions
from crystal_eyes.errors import UserError
from crystal_eyes.progress import track

Row = tuple[str, str, str, str, int, int, int, int, str]  # of the manifest
COLUMNS = ("set", "series", "character", "file", "width", "height", "alpha", "monochrome", "artwork")
VERSION = 1  # of the drawings: raise it with every change that alters a picture


def draw(folder: Path, options: CastOptions, seed: int, workers: int | None = None) -> Path:
    """Draw the cast: folder/<character>/NNNN.jpg|png|webp and, last, folder/manifest.csv (COLUMNS; UTF-8). Returns folder.

    seed: another seed draws another cast; workers: processes (None: one per core), without influence on the files. The same
    call resumes an interrupted one, and returns at once when everything is there. Raises UserError for counts out of range and
    where the folder holds another cast.
    """
    characters, pictures = options.characters, options.pictures
    if pictures < 1:
        raise UserError(f"pictures={pictures}: must be at least 1")
    if workers is not None and workers < 1:
        raise UserError(f"workers={workers}: must be at least 1")
    people = make_cast(characters, seed)
    _claim(folder, {"version": VERSION, "characters": characters, "pictures": pictures, "seed": seed})
    manifest = folder / "manifest.csv"
    if manifest.exists() and _rows(manifest) == characters * pictures:
        return folder
    workers = min(workers or os.cpu_count() or 1, characters)
    with _mapper(workers) as mapped:
        drawn = mapped(_draw_character, repeat(folder), people, repeat(pictures), repeat(seed))
        rows = [row for part in track(drawn, characters, "draw the cast", "characters") for row in part]
    part = folder / "manifest.csv.part"
    with part.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
    os.replace(part, manifest)
    return folder


def _claim(folder: Path, recipe: dict[str, int]) -> None:
    """Write the recipe into the folder, or raise UserError where another one is there: casts must not mix."""
    path = folder / "recipe.json"
    if path.exists():
        if path.read_text() != json.dumps(recipe):
            raise UserError(f"{folder} contains a cast that was drawn with other parameters: use another folder")
        return
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / "recipe.json.part"
    part.write_text(json.dumps(recipe))
    os.replace(part, path)


def _rows(manifest: Path) -> int:
    with manifest.open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1


@contextmanager
def _mapper(workers: int) -> Iterator[Callable[..., Iterator[list[Row]]]]:
    """`map` over the given number of processes; the results are in order."""
    if workers == 1:
        yield map
        return
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)  # otherwise an interruption would wait for the whole cast


def _draw_character(folder: Path, character: Character, pictures: int, seed: int) -> list[Row]:
    """Draw one character unless it is complete; returns its rows of the manifest, read from the files."""
    home = folder / character.folder
    if not (home.is_dir() and len(list(home.iterdir())) == pictures):
        part = folder / f"{character.folder}.part"
        for leftover in (part, home):
            shutil.rmtree(leftover, ignore_errors=True)
        part.mkdir()
        for number in range(pictures):
            source, cut = _source(number), random.Random(f"cut {seed} {character.folder} {number}")
            drawing = random.Random(f"drawing {seed} {character.folder} {source}")
            _save(draw_picture(character, drawing, cut), part / f"{number:04d}", cut)
        os.replace(part, home)
    rows = []
    for number, path in enumerate(sorted(home.iterdir())):
        shared = _source(number) != number or (number + 1 < pictures and _source(number + 1) == number)
        artwork = f"{character.folder}-{_source(number):04d}" if shared else ""
        with Image.open(path) as image:
            width, height = image.size
            alpha, gray = int("A" in image.getbands()), int(image.mode in ("L", "LA"))
        file = f"{character.folder}/{path.name}"
        rows.append((character.style, character.series, character.name, file, width, height, alpha, gray, artwork))
    return rows


def _source(number: int) -> int:
    """The number of the drawing that a picture was cut from: its own, but every 20th is a second cut of the one before."""
    return number - 1 if number % 20 == 19 else number


def _save(drawn: Image.Image, stem: Path, rng: random.Random) -> None:
    chance = rng.random()
    if "A" in drawn.getbands() or chance < 0.15:
        drawn.save(stem.with_suffix(".png"), compress_level=4)
    elif chance < 0.22 and drawn.mode == "RGB":  # WebP has no grayscale: it would come back as three channels
        drawn.save(stem.with_suffix(".webp"), quality=rng.randint(50, 90), method=0)
    else:
        drawn.save(stem.with_suffix(".jpg"), quality=rng.randint(30, 92))
