"""What the encoder is trained for: heads of a character close together, those of others far away."""

import torch
from pytorch_metric_learning.losses import MultiSimilarityLoss, SubCenterArcFaceLoss
from pytorch_metric_learning.miners import MultiSimilarityMiner
from pytorch_metric_learning.utils.common_functions import TorchInitWrapper

from crystal_eyes.encoder.recipes import Recipe

MARGIN, SCALE = 11.5, 24  # degrees, and of the cosine: few heads of many characters don't reach the library's 28.6 and 64


class Objective(torch.nn.Module):
    """MultiSimilarityLoss on mined pairs, and sub-centre ArcFace (Deng et al., 2020) beside it where the recipe says so.

    Pairs know a batch's few characters only; ArcFace holds every picture against all of them. Its sub-centres leave room for
    outfits and styles.
    """

    def __init__(self, recipe: Recipe, characters: int, embedding_size: int):
        super().__init__()
        self.weight = recipe.arcface
        self.pairs, self.miner = MultiSimilarityLoss(), MultiSimilarityMiner()
        if self.weight:
            # only its direction counts: the shorter a centre starts, the faster it turns. From the library's own start, 1 a
            # coordinate, it hardly left its place
            start = TorchInitWrapper(torch.nn.init.normal_, std=embedding_size**-0.5)
            self.centres = SubCenterArcFaceLoss(
                num_classes=characters, embedding_size=embedding_size, sub_centers=3, margin=MARGIN, scale=SCALE,
                weight_init_func=start,
            )  # fmt: skip

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The loss of unit-length embeddings [n, d] with int64 labels [n]."""
        loss = self.pairs(embeddings, labels, self.miner(embeddings, labels))
        if self.weight:
            loss = loss + self.weight * self.centres(embeddings, labels)
        return loss
