"""The self-made dataset: a cast of drawn characters with look-alikes among them, written as pictures and a manifest."""

import csv
import json
import multiprocessing
import os
import random
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import product, repeat
from pathlib import Path

from PIL import Image

from crystal_eyes.data.cast.portrait import picture, portrait, upright
from crystal_eyes.data.cast.styles import EYES, HAIR, SKIN, STYLES, Character, credits, credits_text, variants
from crystal_eyes.errors import UserError
from crystal_eyes.progress import track

__all__ = ["COLUMNS", "MOST", "cast", "credits", "credits_text", "draw", "portrait", "upright"]

COLUMNS = ("set", "series", "character", "file", "width", "height", "alpha", "monochrome", "artwork")
VERSION = 1  # of the drawings: raise it with every change that alters a picture
FAMILY = 3  # a character and its two look-alikes
SERIES = 5  # families of one style that share a series: 15 characters
# The styles of ten families in a row: most where there are most identities and the look is nearest to anime.
TURNS = "adventurer lorelei adventurer lorelei adventurer adventurer lorelei adventurer big-ears lorelei".split()
# Every family has a hair-and-colour pair of its own, so the pairs bound the cast.
MOST = min(len(variants(style, "hair")) * len(HAIR) // TURNS.count(style) * len(TURNS) * FAMILY for style in STYLES)

# The same syllables in two scripts: a few characters are known by a name that is not written in Latin letters.
LATIN = "ka ki ku ke ko sa shi su se so ta na ni no ha hi fu ma mi mu mo ya yu yo ra ri ru re ro wa".split()
KATAKANA = "カ キ ク ケ コ サ シ ス セ ソ タ ナ ニ ノ ハ ヒ フ マ ミ ム モ ヤ ユ ヨ ラ リ ル レ ロ ワ".split()
ACCENTS = str.maketrans("aeiou", "âéïōü")
PLACES = "Academy Chronicle Garden Harbour Island Kingdom Lantern Orchestra Railway Tower Voyage Winter".split()


def cast(characters: int, seed: int) -> list[Character]:
    """Who is in the cast: as many characters as asked for, no two alike in all traits.

    In every three, the second has the first's looks but for the hair's colour, the third but for one other trait.
    A longer cast of the same seed begins with the shorter one. Raises UserError below 2 and above MOST characters.
    """
    if not 2 <= characters <= MOST:
        raise UserError(f"characters={characters}: ask for 2 to {MOST}, more could not be told apart")
    rng = random.Random(f"cast {seed}")
    pairs = {style: list(product(variants(style, "hair"), HAIR)) for style in STYLES}
    for free in pairs.values():
        rng.shuffle(free)
    people, taken, names, titles, families = [], set(), set(), {}, dict.fromkeys(STYLES, 0)
    while len(people) < characters:
        turn = len(people) // FAMILY
        style = TURNS[turn % len(TURNS)]
        series = titles.setdefault((style, families[style] // SERIES), f"{_word(rng)} {rng.choice(PLACES)}")
        families[style] += 1
        base = _until_new(partial(_someone, rng, style, *pairs[style].pop()), taken)
        family = [base, *(_until_new(partial(_look_alike, rng, base, what), taken) for what in ("colour", "trait"))]
        for person in family:
            folder = f"{style}-{len(people):05d}"
            people.append(replace(person, folder=folder, name=_name(rng, names), series=series))
    return people[:characters]


def draw(folder: Path, *, characters: int, pictures: int, seed: int, workers: int | None = None) -> Path:
    """Draw the cast: folder/<character>/NNNN.jpg|png|webp and, last, folder/manifest.csv (COLUMNS; UTF-8).

    characters, pictures: how many, and how many of each; seed: another seed, another cast; workers: processes (all
    cores when None), of no influence on the files. Pictures are 132 to 152 px a side. The same call again goes on
    where it was interrupted, and returns at once when all is there. Returns folder. Raises UserError on counts out of
    range and where the folder holds another cast.
    """
    folder = Path(folder)
    if pictures < 1:
        raise UserError(f"pictures={pictures}: ask for at least 1 of each character")
    if workers is not None and workers < 1:
        raise UserError(f"workers={workers}: at least 1 process must draw")
    people = cast(characters, seed)
    _claim(folder, {"version": VERSION, "characters": characters, "pictures": pictures, "seed": seed})
    manifest = folder / "manifest.csv"
    if manifest.exists() and _rows(manifest) == characters * pictures:
        return folder
    workers = min(workers or os.cpu_count() or 1, characters)
    with _mapper(workers) as mapped:
        drawn = mapped(_draw_character, repeat(folder), people, repeat(pictures), repeat(seed))
        rows = [row for part in track(drawn, characters, "drawing the cast", "characters") for row in part]
    part = folder / "manifest.csv.part"
    with part.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
    os.replace(part, manifest)
    return folder


def _claim(folder: Path, recipe: dict[str, int]) -> None:
    """Leave the recipe in the folder, or see that the one there is the same: casts must not mix."""
    path = folder / "recipe.json"
    if path.exists():
        if path.read_text() != json.dumps(recipe):
            raise UserError(f"{folder} holds a cast of other parameters: choose another folder or remove this one")
        return
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / "recipe.json.part"
    part.write_text(json.dumps(recipe))
    os.replace(part, path)


def _rows(manifest: Path) -> int:
    with manifest.open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1


@contextmanager
def _mapper(workers: int) -> Iterator:
    """`map`, over so many processes; its results come in order."""
    if workers == 1:
        yield map
        return
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)  # or an interruption would wait for the whole cast


def _draw_character(folder: Path, character: Character, pictures: int, seed: int) -> list[tuple]:
    """Draw one character unless it is there, whole; its rows of the manifest, read from the files."""
    home = folder / character.folder
    if not (home.is_dir() and len(list(home.iterdir())) == pictures):
        part = folder / f"{character.folder}.part"
        for leftover in (part, home):
            shutil.rmtree(leftover, ignore_errors=True)
        part.mkdir()
        for number in range(pictures):
            source, cut = _source(number), random.Random(f"cut {seed} {character.folder} {number}")
            drawing = random.Random(f"drawing {seed} {character.folder} {source}")
            _save(picture(character, drawing, cut), part / f"{number:04d}", cut)
        os.replace(part, home)
    rows = []
    for number, path in enumerate(sorted(home.iterdir())):
        shared = _source(number) != number or (number + 1 < pictures and _source(number + 1) == number)
        artwork = f"{character.folder}-{_source(number):04d}" if shared else ""
        with Image.open(path) as image:
            width, height = image.size
            alpha, grey = int("A" in image.getbands()), int(image.mode in ("L", "LA"))
        file = f"{character.folder}/{path.name}"
        rows.append((character.style, character.series, character.name, file, width, height, alpha, grey, artwork))
    return rows


def _source(number: int) -> int:
    """The drawing that a picture was cut from: its own, but every twentieth is a second cut of the one before."""
    return number - 1 if number % 20 == 19 else number


def _save(drawn: Image.Image, stem: Path, rng: random.Random) -> None:
    chance = rng.random()
    if "A" in drawn.getbands() or chance < 0.15:
        drawn.save(stem.with_suffix(".png"), compress_level=4)
    elif chance < 0.22 and drawn.mode == "RGB":  # webp knows no grey: it would come back as three channels
        drawn.save(stem.with_suffix(".webp"), quality=rng.randint(50, 90), method=0)
    else:
        drawn.save(stem.with_suffix(".jpg"), quality=rng.randint(30, 92))


def _someone(rng: random.Random, style: str, hair: str, colour: str) -> Character:
    parts = (("hair", hair), *((part, rng.choice(choices)) for part, choices in STYLES[style].fixed.items()))
    return Character("", "", "", style, parts, colour, rng.choice(SKIN), rng.choice(EYES))


def _look_alike(rng: random.Random, base: Character, difference: str) -> Character:
    """base with one trait changed: the hair's colour (mostly to a near one), or the skin, or one telling part."""
    if difference == "colour":
        near = rng.choice((-2, -1, 1, 2)) if rng.random() < 0.6 else rng.randrange(3, len(HAIR) - 3)
        return replace(base, hair=HAIR[(HAIR.index(base.hair) + near) % len(HAIR)])
    trait = rng.choice(("skin", *STYLES[base.style].telling))
    if trait == "skin":
        return replace(base, skin=rng.choice(SKIN))
    parts = dict(base.parts)
    parts[trait] = rng.choice(STYLES[base.style].fixed[trait])
    return replace(base, parts=tuple(parts.items()))


def _until_new(make: Callable[[], Character], taken: set) -> Character:
    while (person := make()).traits in taken:
        pass
    taken.add(person.traits)
    return person


def _word(rng: random.Random) -> str:
    return "".join(rng.choices(LATIN, k=rng.randint(2, 3))).capitalize()


def _name(rng: random.Random, names: set[str]) -> str:
    """A new name of two parts: most in Latin letters, some with accents, some in katakana."""
    while True:
        words = [rng.choices(range(len(LATIN)), k=rng.randint(2, 3)) for _ in range(2)]
        script = rng.random()
        if script < 0.08:
            name = "・".join("".join(KATAKANA[syllable] for syllable in word) for word in words)
        else:
            name = " ".join("".join(LATIN[syllable] for syllable in word).capitalize() for word in words)
            name = name.translate(ACCENTS) if script < 0.14 else name
        if name not in names:
            names.add(name)
            return name
