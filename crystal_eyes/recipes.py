"""The two recipes: how an encoder is trained, and which classifier names what it embeds.

What was tried on the way to `best`, and what it brought: benchmarks/recipes.md.
"""

from dataclasses import dataclass, replace
from typing import Any

from crystal_eyes.errors import UserError

RECIPES_OWN = -1.0  # of a rate that may be 0
LEAST_SIZE = 8  # of an embedding: in two dimensions one lies exactly on its ArcFace centre, where the gradient is infinite
LEAST_SIDE = 32  # pixels: what backbones halve five times


@dataclass(frozen=True)
class Recipe:
    backbone: str  # any network that geffnet has
    embedding_size: int
    image_size: int  # side of the square that the finished encoder sees, pixels
    epochs: int
    sides: tuple[float, ...]  # side in training as a share of image_size, each for an equal part of the epochs
    arcface: float  # weight of the sub-centre ArcFace loss beside MultiSimilarityLoss; 0: none
    one_set_a_batch: bool  # whether a batch's characters are all of one of the dataset's sets: told apart by more than style
    views: str  # what augmentation shows: light, or serving (sketches, crops that are off, JPEG...)
    whiten: bool  # whether variation within characters is evened out in the embedding layer at the end
    drop_connect_rate: float
    classifier: str  # a linear one, for the bundle


RECIPES = {
    "2020": Recipe(
        backbone="mixnet_s",
        embedding_size=512,
        image_size=128,
        epochs=24,
        sides=(1.0,),
        arcface=0.0,
        one_set_a_batch=False,
        views="light",
        whiten=False,
        drop_connect_rate=0.0,  # the original tuned it; what it found is not known
        classifier="perceptron",
    ),
    "best": Recipe(
        backbone="tf_efficientnet_lite0",
        embedding_size=384,
        image_size=192,
        epochs=9,
        sides=(1 / 2, 2 / 3, 5 / 6),
        arcface=0.25,
        one_set_a_batch=True,
        views="serving",
        whiten=True,
        drop_connect_rate=0.3,
        classifier="logistic_regression",
    ),
}


def filled(config: Any) -> Any:
    """The configuration of train with the recipe's values where it has none of its own (empty, 0, or -1). Raises UserError."""
    recipe = RECIPES[config.recipe]
    names = ("backbone", "embedding_size", "image_size", "epochs")
    config = replace(config, **{name: getattr(config, name) or getattr(recipe, name) for name in names})
    if config.drop_connect_rate == RECIPES_OWN:
        config = replace(config, drop_connect_rate=recipe.drop_connect_rate)
    if config.drop_connect_rate < 0:
        raise UserError(f"drop_connect_rate={config.drop_connect_rate}: the least is 0, or -1 for the recipe's")
    if config.embedding_size < LEAST_SIZE:
        raise UserError(f"embedding_size={config.embedding_size}: the least is {LEAST_SIZE}, or 0 for the recipe's")
    if config.image_size < LEAST_SIDE:
        raise UserError(f"image_size={config.image_size}: the least is {LEAST_SIDE}, or 0 for the recipe's")
    return config
