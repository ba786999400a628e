"""Options of building a bundle."""

from dataclasses import dataclass

from crystal_eyes.options import option


@dataclass(frozen=True)
class BundleOptions:
    references: int = option(5, "reference heads per character in the gallery", low=1, high=1000)
    thumbnails: bool = option(True, "whether the gallery shows the reference heads; false: it holds their embeddings only")
    seed: int = option(0, "random seed", low=0, high=2**31 - 1)
