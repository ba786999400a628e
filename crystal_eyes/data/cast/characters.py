"""The characters of the cast: their looks, with look-alikes among them, their names and series."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

from crystal_eyes.data.cast.styles import EYES, HAIR, SKIN, STYLES, variants
from crystal_eyes.errors import UserError

FAMILY = 3  # a character and its two look-alikes
FAMILIES_PER_SERIES = 5  # all of one style: 15 characters
# The styles of ten families in a row: those with the most variety and the look closest to anime most often.
STYLE_ORDER = "adventurer lorelei adventurer lorelei adventurer adventurer lorelei adventurer big-ears lorelei".split()
# Every family has a pair of hair variant and hair color of its own, so the pairs limit the cast.
MAX_CHARACTERS = min(
    len(variants(style, "hair")) * len(HAIR) // STYLE_ORDER.count(style) * len(STYLE_ORDER) * FAMILY for style in STYLES
)

# The same syllables in two scripts: a few characters have a name in katakana.
LATIN = "ka ki ku ke ko sa shi su se so ta na ni no ha hi fu ma mi mu mo ya yu yo ra ri ru re ro wa".split()
KATAKANA = "カ キ ク ケ コ サ シ ス セ ソ タ ナ ニ ノ ハ ヒ フ マ ミ ム モ ヤ ユ ヨ ラ リ ル レ ロ ワ".split()
ACCENTS = str.maketrans("aeiou", "âéïōü")
PLACES = "Academy Chronicle Garden Harbour Island Kingdom Lantern Orchestra Railway Tower Voyage Winter".split()


Traits = tuple[str, tuple[tuple[str, str | None], ...], str, str, str]


@dataclass(frozen=True)
class Character:
    """A character of the cast: everything that is the same in all of its pictures. Colors are hex without "#"."""

    folder: str
    name: str
    series: str
    style: str
    parts: tuple[tuple[str, str | None], ...]  # (part, variant), hair included
    hair: str
    skin: str
    eyes: str

    @property
    def traits(self) -> Traits:
        """All that is visible of the character: two characters of equal traits would look the same."""
        return self.style, self.parts, self.hair, self.skin, self.eyes


def make_cast(characters: int, seed: int) -> list[Character]:
    """The given number of characters, no two of which look the same.

    Of every FAMILY, the second differs from the first in the color of its hair only, the third in one other trait only.
    A larger cast of the same seed begins with the smaller one. Raises UserError below 2 and above MAX_CHARACTERS.
    """
    if not 2 <= characters <= MAX_CHARACTERS:
        raise UserError(f"characters={characters} is out of range: the cast can have 2 to {MAX_CHARACTERS} distinct characters")
    rng = random.Random(f"cast {seed}")
    pairs = {style: list(product(variants(style, "hair"), HAIR)) for style in STYLES}
    for free in pairs.values():
        rng.shuffle(free)
    people: list[Character] = []
    taken: set[Traits] = set()
    names: set[str] = set()
    titles: dict[tuple[str, int], str] = {}
    families = dict.fromkeys(STYLES, 0)
    while len(people) < characters:
        turn = len(people) // FAMILY
        style = STYLE_ORDER[turn % len(STYLE_ORDER)]
        series = titles.setdefault((style, families[style] // FAMILIES_PER_SERIES), f"{_word(rng)} {rng.choice(PLACES)}")
        families[style] += 1
        base = _until_new(partial(_someone, rng, style, *pairs[style].pop()), taken)
        family = [base, *(_until_new(partial(_look_alike, rng, base, what), taken) for what in ("hair", "trait"))]
        for person in family:
            folder = f"{style}-{len(people):05d}"
            people.append(replace(person, folder=folder, name=_name(rng, names), series=series))
    return people[:characters]


def _someone(rng: random.Random, style: str, hair: str, color: str) -> Character:
    parts = (("hair", hair), *((part, rng.choice(choices)) for part, choices in STYLES[style].fixed.items()))
    return Character("", "", "", style, parts, color, rng.choice(SKIN), rng.choice(EYES))


def _look_alike(rng: random.Random, base: Character, difference: str) -> Character:
    """base with one trait changed: the color of the hair ("hair"), mostly to a similar one; or skin or a distinctive part."""
    if difference == "hair":
        near = rng.choice((-2, -1, 1, 2)) if rng.random() < 0.6 else rng.randrange(3, len(HAIR) - 3)
        return replace(base, hair=HAIR[(HAIR.index(base.hair) + near) % len(HAIR)])
    trait = rng.choice(("skin", *STYLES[base.style].distinctive))
    if trait == "skin":
        return replace(base, skin=rng.choice(SKIN))
    parts = dict(base.parts)
    parts[trait] = rng.choice(STYLES[base.style].fixed[trait])
    return replace(base, parts=tuple(parts.items()))


def _until_new(make: Callable[[], Character], taken: set[Traits]) -> Character:
    while (person := make()).traits in taken:
        pass
    taken.add(person.traits)
    return person


def _word(rng: random.Random) -> str:
    return "".join(rng.choices(LATIN, k=rng.randint(2, 3))).capitalize()


def _name(rng: random.Random, names: set[str]) -> str:
    """A name of two words not in names, which it is added to: most in Latin letters, some with accents, some in katakana."""
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
