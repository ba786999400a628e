"""The recipes: how an encoder is trained, and which classifier names heads in the bundle.

How `best` was found, and what each part of it contributes: docs/results.md.
"""

from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from crystal_eyes.encoder.options import STRONG, DistillationOptions, TrainingOptions

Parameters = TypeVar("Parameters")
# in two dimensions an embedding can lie exactly on its ArcFace center, where the gradient is infinite; backbones halve
# an image five times
MIN_EMBEDDING_SIZE, MIN_IMAGE_SIZE = 8, 32


@dataclass(frozen=True)
class Recipe:
    """Values of the steps' parameters. A parameter of the same name overrides the value unless it is empty."""

    backbone: str  # any network that geffnet has
    weights: str  # what the backbone starts with: pretrained (on ImageNet), released, or none
    embedding_size: int
    image_size: int  # side of the square that the finished encoder sees, pixels
    epochs: int
    side_shares: tuple[float, ...]  # side in training as a share of image_size, each for an equal part of the epochs
    arcface_weight: float  # weight of the sub-center ArcFace loss, which is added to MultiSimilarityLoss; 0: none
    same_set_share: float  # share of batches whose characters all come from one set, so that style does not distinguish them
    views: str  # augmentation: light, serving (also sketches, JPEG artifacts...) or strong (also frames, glow...)
    refit: bool  # whether the embedding layer is fitted anew at the end: see crystal_eyes/encoder/refit.py
    drop_connect_rate: float
    distill_epochs: int  # epochs of distilling one encoder from several with different seeds; 0: one encoder is trained
    teachers: int  # how many: 2 or 3
    classifier: str  # a linear one: it names heads in the bundle

    def training_options(self, **given: Any) -> TrainingOptions:
        """How this recipe trains an encoder. given: the options that are parameters of train."""
        return TrainingOptions(
            side_shares=self.side_shares,
            arcface_weight=self.arcface_weight,
            same_set_share=self.same_set_share,
            views=self.views,
            refit=self.refit,
            **given,
        )

    def distillation_options(self, **given: Any) -> DistillationOptions:
        """How this recipe distills an encoder. given: the options that are parameters of distill."""
        return DistillationOptions(
            side_share=self.side_shares[-1], views=self.views, refit=self.refit, **given
        )  # the side that the teachers saw last


RECIPES = {
    "2020": Recipe(
        backbone="mixnet_s",
        weights="pretrained",
        embedding_size=512,
        image_size=128,
        epochs=24,
        side_shares=(1.0,),
        arcface_weight=0.0,
        same_set_share=0.0,
        views="light",
        refit=False,
        drop_connect_rate=0.0,  # the original tuned it; the value it found is unknown
        distill_epochs=0,
        teachers=2,
        classifier="perceptron",
    ),
    "best": Recipe(
        backbone="tf_efficientnet_lite0",
        weights="pretrained",
        embedding_size=384,
        image_size=192,
        epochs=9,
        side_shares=(1 / 2, 2 / 3, 5 / 6),
        arcface_weight=0.25,
        same_set_share=0.5,
        views="serving",
        refit=True,
        drop_connect_rate=0.3,
        distill_epochs=4,
        teachers=2,
        classifier="logistic_regression",
    ),
}
# about how the released encoder was trained; for a GPU, or for a night
RECIPES["large"] = replace(
    RECIPES["best"],
    backbone="tf_efficientnet_lite2",
    embedding_size=512,
    image_size=256,
    side_shares=(3 / 8, 1 / 2, 5 / 8),
    epochs=14,
    views=STRONG,
    distill_epochs=24,
    teachers=3,
)


def with_recipe_defaults(parameters: Parameters) -> Parameters:
    """The parameters of a step with the recipe's value wherever they are empty (None)."""
    recipe = RECIPES[parameters.recipe]  # type: ignore[attr-defined]
    empty = [field.name for field in fields(Recipe) if getattr(parameters, field.name, "") is None]
    return replace(parameters, **{name: getattr(recipe, name) for name in empty})  # type: ignore[type-var]
