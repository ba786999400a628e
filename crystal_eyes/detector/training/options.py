"""Options of a detector's training."""

from dataclasses import dataclass

from crystal_eyes.options import option

ARCHITECTURES = ("yolov5n", "yolov5s")


@dataclass(frozen=True)
class DetectorTrainingOptions:
    architecture: str = option("yolov5n", "network architecture", choices=ARCHITECTURES)
    image_size: int = option(320, "longer side of the network's input, pixels", low=64, high=2048)
    multi_scale: float = option(0.0, "how far batches are scaled up or down, as a share of the input size", low=0.0, high=0.9)
    epochs: int = option(10, "passes over the training pictures", low=1, high=10_000)
    minutes: float = option(0.0, "train for that many minutes, whatever the epochs; 0: no limit", low=0.0, high=100_000.0)
    batch_size: int = option(16, "pictures per batch", low=1, high=1024)
    learning_rate: float = option(2e-3, "peak learning rate of AdamW", low=1e-7, high=1.0)
    circles: bool = option(True, "draw random circles over the heads during training")
    seed: int = option(0, "random seed", low=0, high=2**31 - 1)
