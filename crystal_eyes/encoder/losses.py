"""The loss that trains the encoder: heads of one character close together, heads of different characters far apart."""

import torch
from pytorch_metric_learning.losses import MultiSimilarityLoss, SubCenterArcFaceLoss
from pytorch_metric_learning.miners import MultiSimilarityMiner
from pytorch_metric_learning.utils.common_functions import TorchInitWrapper

# degrees, and factor of the cosine. With few heads of many characters the library's 28.6 and 64 do not converge
ARCFACE_MARGIN, ARCFACE_SCALE = 11.5, 24


class EncoderLoss(torch.nn.Module):
    """MultiSimilarityLoss on mined pairs, plus a weighted sub-center ArcFace loss (Deng et al., 2020).

    The pair loss compares the few characters of a batch; ArcFace compares every head with all characters. Its sub-centers
    leave room for outfits and styles.
    """

    def __init__(self, arcface_weight: float, characters: int, embedding_size: int):
        """arcface_weight: 0 leaves ArcFace out, and the loss then has no parameters."""
        super().__init__()
        self.arcface_weight = arcface_weight
        self.pairs, self.miner = MultiSimilarityLoss(), MultiSimilarityMiner()
        if arcface_weight:
            # Only the direction of a center counts: the shorter it starts, the faster it turns. The library's
            # initialization, a standard deviation of 1 per coordinate, hardly moves in a whole training run
            initialization = TorchInitWrapper(torch.nn.init.normal_, std=embedding_size**-0.5)
            self.centers = SubCenterArcFaceLoss(
                num_classes=characters, embedding_size=embedding_size, sub_centers=3, margin=ARCFACE_MARGIN,
                scale=ARCFACE_SCALE, weight_init_func=initialization,
            )  # fmt: skip

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The loss (scalar) of unit-length float32 embeddings [n, d] with int64 labels [n]."""
        loss = self.pairs(embeddings, labels, self.miner(embeddings, labels))
        if self.arcface_weight:
            loss = loss + self.arcface_weight * self.centers(embeddings, labels)
        return loss
