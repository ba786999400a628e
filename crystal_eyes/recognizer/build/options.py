"""Options of building a bundle."""

from dataclasses import dataclass

from crystal_eyes.options import option


@dataclass(frozen=True)
class BundleOptions:
    references: int = option(5, "reference heads per character in the gallery", low=1, high=1000)
    thumbnails: bool = option(True, "whether the gallery shows the reference heads; false: it holds their embeddings only")
    fit_all_heads: bool = option(
        False, "fit the classifier in the bundle on all heads, also the test heads; calibration and figures are measured with "
        "classifiers that were fitted without the heads that they are measured on",
    )  # fmt: skip
    released: bool = option(False, "the model card is that of the recognizer that comes with Crystal Eyes")
    seed: int = option(0, "random seed", low=0, high=2**31 - 1)
