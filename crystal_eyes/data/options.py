"""Options of preparing a dataset. Imports nothing else: the driver reads them for the command line."""

from dataclasses import dataclass

from crystal_eyes.options import option


@dataclass(frozen=True)
class CastOptions:
    """How large the built-in cast is."""

    characters: int = option(80, "built-in cast: number of characters", low=2, high=20_000)
    pictures: int = option(45, "built-in cast: pictures per character", low=1, high=10_000)


@dataclass(frozen=True)
class SelectionOptions:
    """What a head and a character must fulfill to be used."""

    min_pictures: int = option(2, "leave out characters with fewer pictures", low=2)
    pictures_per_character: int = option(0, "use this many random pictures of each character; 0: all", low=0)
    near_duplicate_bits: int = option(
        6, "drop a picture whose 256-bit hash differs from another of its character in at most this many bits; -1: keep all",
        low=-1, high=128,
    )  # fmt: skip


@dataclass(frozen=True)
class SplitOptions:
    """How large the parts of the splits are."""

    train_per_character: int = option(25, "pictures per character that classifiers are fitted on", low=1)
    test_per_character: int = option(20, "pictures per character that classifiers are tested on", low=1)
    validation_characters: float = option(
        0.1, "share of characters that the encoder never sees, to choose its best epoch", low=0.01, high=0.5
    )
    test_characters: float = option(0.1, "share of characters that the encoder never sees, to report MAP@R", low=0.01, high=0.5)
