"""Options of preparing a dataset. Imports nothing else: the driver reads them for the command line."""

from dataclasses import dataclass

from crystal_eyes.options import option

DUPLICATE_BITS = 6  # of 256, by which the difference hashes of one picture may differ


@dataclass(frozen=True)
class CastOptions:
    """Size of the built-in cast."""

    characters: int = option(80, "built-in cast: number of characters", low=2, high=20_000)
    pictures: int = option(45, "built-in cast: pictures per character", low=1, high=10_000)


@dataclass(frozen=True)
class SelectionOptions:
    """The conditions under which heads and characters are used."""

    min_pictures: int = option(2, "leave out characters with fewer pictures", low=2)
    pictures_per_character: int = option(0, "maximum number of pictures per character, chosen at random; 0: no limit", low=0)
    near_duplicate_bits: int = option(
        DUPLICATE_BITS,
        "drop a picture if its 256-bit hash is within this many bits of another one of its character; -1: keep all",
        low=-1,
        high=128,
    )


@dataclass(frozen=True)
class SplitOptions:
    """Sizes of the parts of the splits."""

    train_per_character: int = option(25, "pictures per character for fitting classifiers", low=1)
    test_per_character: int = option(20, "pictures per character for testing classifiers", low=1)
    validation_characters: float = option(
        0.1, "share of characters held out from training to select the best epoch", low=0.01, high=0.5
    )
    test_characters: float = option(0.1, "share of characters held out from training to report MAP@R", low=0.01, high=0.5)
