"""The two recipes: how an encoder is trained, and which classifier names what it embeds.

What was tried on the way to `best`, and what it brought: benchmarks/recipes.md.
"""

from dataclasses import dataclass, replace
from typing import Any

from crystal_eyes.errors import UserError

RECIPES_OWN = -1  # of what may be 0
# parameters whose values the recipe gives where they are this
OWN = {"backbone": "", "embedding_size": 0, "image_size": 0, "epochs": 0, "drop_connect_rate": RECIPES_OWN,
       "distill_epochs": RECIPES_OWN}  # fmt: skip
LEAST = {
    "drop_connect_rate": (0, RECIPES_OWN),
    "embedding_size": (8, 0),  # in two dimensions one lies exactly on its ArcFace centre, where the gradient is infinite
    "image_size": (32, 0),  # pixels: what backbones halve five times
}


@dataclass(frozen=True)
class Recipe:
    backbone: str  # any network that geffnet has
    embedding_size: int
    image_size: int  # side of the square that the finished encoder sees, pixels
    epochs: int
    sides: tuple[float, ...]  # side in training as a share of image_size, each for an equal part of the epochs
    arcface: float  # weight of the sub-centre ArcFace loss beside MultiSimilarityLoss; 0: none
    one_set: float  # share of batches whose characters are all of one of the dataset's sets: told apart by more than style
    views: str  # what augmentation shows: light, or serving (sketches, crops that are off, JPEG...)
    whiten: bool  # whether variation within characters is evened out in the embedding layer at the end
    drop_connect_rate: float
    distill_epochs: int  # in which one encoder learns what two of different seeds know together; 0: one is trained
    classifier: str  # a linear one, for the bundle


RECIPES = {
    "2020": Recipe(
        backbone="mixnet_s",
        embedding_size=512,
        image_size=128,
        epochs=24,
        sides=(1.0,),
        arcface=0.0,
        one_set=0.0,
        views="light",
        whiten=False,
        drop_connect_rate=0.0,  # the original tuned it; what it found is not known
        distill_epochs=0,
        classifier="perceptron",
    ),
    "best": Recipe(
        backbone="tf_efficientnet_lite0",
        embedding_size=384,
        image_size=192,
        epochs=9,
        sides=(1 / 2, 2 / 3, 5 / 6),
        arcface=0.25,
        one_set=0.5,
        views="serving",
        whiten=True,
        drop_connect_rate=0.3,
        distill_epochs=4,
        classifier="logistic_regression",
    ),
}


def filled(config: Any) -> Any:
    """The configuration of a step (or of a chain of them) with the recipe's values where it has none of its own.

    None is empty, 0, or -1 where 0 is a value. Raises UserError on a value that can't be trained with.
    """
    recipe = RECIPES[config.recipe]
    for name, none in OWN.items():
        if hasattr(config, name) and getattr(config, name) == none:
            config = replace(config, **{name: getattr(recipe, name)})
    for name, (least, said) in LEAST.items():
        if hasattr(config, name) and getattr(config, name) < least:
            raise UserError(f"{name}={getattr(config, name)}: the least is {least}, or {said} for the recipe's")
    return config
