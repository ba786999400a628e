"""Options for training and distilling an encoder. Does not import torch, because the driver reads them for the command line."""

from dataclasses import dataclass

from crystal_eyes.options import option

STRONG = "strong"  # made on the training device: see tensor_views
VIEWS = ("light", "serving", STRONG)  # see augmentation.augment for the first two


@dataclass(frozen=True)
class TrainingOptions:
    """How metric learning trains an encoder."""

    epochs: int  # passes over the training heads
    # side of the views as a share of the encoder's image size, each for an equal part of the epochs
    side_shares: tuple[float, ...]
    arcface_weight: float  # weight of the sub-center ArcFace loss, which is added to MultiSimilarityLoss; 0: none
    same_set_share: float  # share of batches whose characters all come from one set of the dataset
    views: str  # which augmentation: one of VIEWS
    refit: bool  # fit the embedding layer anew at the end: see refit
    batch_size: int = option(32, "heads per batch", low=4, high=4096)
    pictures_per_class: int = option(4, "heads of one character per batch (MPerClassSampler)", low=2, high=64)
    learning_rate: float = option(1e-3, "peak learning rate of AdamW", low=1e-7, high=1.0)
    weight_decay: float = option(1e-2, "weight decay of AdamW", low=0.0, high=1.0)
    seed: int = 0
    until: float | None = None  # train until this time instead of `epochs`: see loop.TrainingPlan


@dataclass(frozen=True)
class DistillationOptions:
    """How a student encoder is distilled from its teachers."""

    epochs: int  # passes over the training heads
    side_share: float  # side of the views as a share of the encoder's image size
    views: str  # which augmentation: one of VIEWS
    batch_size: int  # heads
    weight_decay: float  # of AdamW
    refit: bool  # as in TrainingOptions
    learning_rate: float = option(5e-4, "peak learning rate of AdamW", low=1e-7, high=1.0)
    seed: int = 0
    until: float | None = None


@dataclass(frozen=True)
class Processes:
    """How many processes train together, and where the machines that they are on meet."""

    processes: int = option(0, "processes on each machine; 0: one for each GPU, one without a GPU", low=0, high=1024)
    machines: int = option(1, "machines that train together", low=1, high=1024)
    rendezvous: str = option("", "HOST:PORT of the first of several machines, where the others meet it")
