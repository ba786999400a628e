"""The parameters of every entry point: one frozen dataclass a step, one default each.

MLproject repeats these defaults; a test holds the two together.
"""

from dataclasses import dataclass

from crystal_eyes.detector.boxes import FACE_MARGINS
from crystal_eyes.detector.defaults import CONFIDENCE
from crystal_eyes.encoder.recipes import RECIPES, RECIPES_OWN
from pipeline.parameters.declare import parameter

CLASSIFIERS = (
    "perceptron", "faiss", "lda", "ridge", "logistic_regression", "tip_adapter", "linear_svc", "k_neighbors",
    "random_forest", "nearest_centroid",
)  # fmt: skip


@dataclass(frozen=True)
class Prepare:
    """Read a dataset into the catalogue, select characters and pictures, write the splits."""

    dataset: str = parameter(
        "", "folder a character, table, Danbooru 2018 set; empty: built-in cast", input="dataset", optional=True
    )
    characters: int = parameter(80, "built-in cast: how many characters to draw", low=2, high=20_000)
    pictures: int = parameter(45, "built-in cast: how many pictures of each", low=1, high=10_000)
    min_pictures: int = parameter(2, "keep characters with at least so many pictures", low=2)
    pictures_per_character: int = parameter(0, "take so many pictures of each at random; 0: all", low=0)
    train_per_character: int = parameter(25, "pictures of a character that classifiers learn from", low=1)
    test_per_character: int = parameter(20, "pictures of a character that classifiers are tested on", low=1)
    validation_characters: float = parameter(
        0.1, "share of characters the encoder never sees, to choose its best epoch", low=0.01, high=0.5
    )
    test_characters: float = parameter(0.1, "share of characters the encoder never sees, to report MAP@R", low=0.01, high=0.5)
    near_duplicate_bits: int = parameter(
        6, "drop a picture whose 256-bit hash differs from another of the character in at most so many bits; -1: keep",
        low=-1, high=128,
    )  # fmt: skip
    confidence: float = parameter(0.85, "Danbooru 2018 set: least confidence of a head's box", low=0.0, high=1.0)
    seed: int = parameter(0, "seed of everything random", low=0, high=2**31 - 1)


@dataclass(frozen=True)
class Train:
    """Train the encoder with metric learning; keep the epoch with the best MAP@R on unseen characters."""

    catalogue: str = parameter("", "catalogue that prepare wrote (runs:/ID/catalogue or a folder)", input="files")
    recipe: str = parameter("best", "how the encoder is trained and what names (encoder/recipes.py)", choices=tuple(RECIPES))
    backbone: str = parameter("", "any network that geffnet has, such as mixnet_s; empty: the recipe's")
    weights: str = parameter(
        "pretrained", "pretrained, none, or a local .safetensors or .pth file",
        input="files", choices=("pretrained", "none"),
    )  # fmt: skip
    embedding_size: int = parameter(0, "length of an embedding; 0: the recipe's", low=0, high=4096)
    image_size: int = parameter(0, "side of the square the encoder sees, pixels; 0: the recipe's", low=0, high=512)
    epochs: int = parameter(0, "passes over the training pictures; 0: the recipe's", low=0, high=10_000)
    batch_size: int = parameter(32, "pictures a batch", low=4, high=4096)
    pictures_per_class: int = parameter(4, "pictures of one character a batch (MPerClassSampler)", low=2, high=64)
    learning_rate: float = parameter(1e-3, "peak learning rate of AdamW", low=1e-7, high=1.0)
    weight_decay: float = parameter(1e-2, "weight decay of AdamW", low=0.0, high=1.0)
    drop_rate: float = parameter(0.0, "dropout before the embedding layer", low=0.0, high=0.9)
    drop_connect_rate: float = parameter(
        float(RECIPES_OWN), "drop connect (stochastic depth) in the backbone; -1: the recipe's", low=RECIPES_OWN, high=0.9
    )
    wandb: str = parameter("off", "log to Weights & Biases too", choices=("off", "offline", "online"))
    seed: int = parameter(0, "seed of everything random", low=0, high=2**31 - 1)


@dataclass(frozen=True)
class Distill:
    """Let one encoder learn what two of different seeds know together; keep its best epoch as train does."""

    catalogue: str = parameter("", "catalogue that both were trained on (runs:/ID/catalogue or a folder)", input="files")
    encoder: str = parameter("", "encoder that train wrote: the new one starts as it (runs:/ID/encoder)", input="files")
    other: str = parameter("", "encoder that train wrote with another seed", input="files")
    recipe: str = parameter("best", "how the encoder is trained and what names (encoder/recipes.py)", choices=tuple(RECIPES))
    distill_epochs: int = parameter(
        RECIPES_OWN, "passes over the training pictures; 0: main trains one encoder and distils none; -1: the recipe's",
        low=RECIPES_OWN, high=10_000,
    )  # fmt: skip
    distill_learning_rate: float = parameter(5e-4, "peak learning rate of AdamW", low=1e-7, high=1.0)
    batch_size: int = parameter(32, "pictures a batch", low=4, high=4096)
    weight_decay: float = parameter(1e-2, "weight decay of AdamW", low=0.0, high=1.0)
    seed: int = parameter(0, "seed of everything random", low=0, high=2**31 - 1)


@dataclass(frozen=True)
class Export:
    """Export the encoder to ONNX and check it against torch on real pictures."""

    encoder: str = parameter("", "encoder that train wrote (runs:/ID/encoder or a folder)", input="files")
    catalogue: str = parameter("", "catalogue whose pictures the check uses", input="files")


@dataclass(frozen=True)
class Embed:
    """Run the ONNX encoder over a catalogue; report MAP@R on the characters kept for testing."""

    onnx: str = parameter("", "ONNX encoder (runs:/ID/onnx, models:/NAME/VERSION, or a file)", input="files")
    catalogue: str = parameter("", "catalogue that prepare wrote (runs:/ID/catalogue or a folder)", input="files")
    embed_batch: int = parameter(64, "pictures a batch", low=1, high=4096)


@dataclass(frozen=True)
class Classify:
    """Fit one classifier on the embeddings' training part and measure it on the test part."""

    embeddings: str = parameter("", "embeddings that embed wrote (runs:/ID/embeddings or a folder)", input="files")
    catalogue: str = parameter("", "catalogue with the pictures, for the picture artifacts", input="files")
    classifier: str = parameter("perceptron", "which classifier", choices=CLASSIFIERS)
    perceptron_epochs: int = parameter(60, "passes over the training part", low=1, high=10_000)
    perceptron_learning_rate: float = parameter(1e-2, "peak learning rate of AdamW", low=1e-7, high=10.0)
    faiss_neighbors: int = parameter(10, "neighbours that vote, weighted by similarity", low=1, high=1000)
    ridge_alpha: float = parameter(0.01, "weight of the penalty on large weights", low=0.0, high=1e6)
    logistic_regression_c: float = parameter(0.1, "inverse of the penalty on large weights", low=1e-6, high=1e6)
    tip_adapter_alpha: float = parameter(1.0, "weight of likeness beside the Perceptron's logits", low=0.0, high=1000.0)
    tip_adapter_beta: float = parameter(5.5, "how much more the most alike count", low=0.01, high=1000.0)
    linear_svc_c: float = parameter(1.0, "inverse of the regularisation", low=1e-6, high=1e6)
    k_neighbors_k: int = parameter(10, "neighbours that vote, weighted by nearness", low=1, high=1000)
    random_forest_trees: int = parameter(100, "trees", low=1, high=10_000)
    seed: int = parameter(0, "seed of everything random", low=0, high=2**31 - 1)


@dataclass(frozen=True)
class Detector:
    """Train a YOLOv5 head detector on labelled pictures and composed scenes; export it to ONNX and measure it."""

    labels: str = parameter(
        "", "pictures with boxes of heads: a YOLO folder, or a table or JSON of boxes", input="files", optional=True
    )
    faces: str = parameter("", "the same, with boxes of faces: grown to heads by face_margins", input="files", optional=True)
    face_margins: str = parameter(
        ",".join(map(str, FACE_MARGINS)),
        "how far a head reaches beyond its face: left,top,right,bottom in sides of the face box",
    )
    heads: str = parameter("", "folder of head pictures to paste into scenes beside the cast", input="files", optional=True)
    labeller: str = parameter(
        "", "detector that finds the head inside each picture of heads; empty: they are cut to the head",
        input="files", optional=True,
    )  # fmt: skip
    scenes: int = parameter(400, "composed scenes to train on", low=0, high=1_000_000)
    repeat: int = parameter(4, "times that an epoch shows each labelled picture", low=1, high=1000)
    circles: bool = parameter(True, "draw random circles over the heads in training")
    architecture: str = parameter("yolov5n", "network", choices=("yolov5n", "yolov5s"))
    detector_weights: str = parameter(
        "", "weights to start from: .safetensors of a detector, or an ultralytics .pt", input="files", optional=True
    )
    detector_image_size: int = parameter(320, "longer side that the network sees, pixels", low=64, high=2048)
    detector_epochs: int = parameter(10, "passes over the training pictures", low=1, high=10_000)
    detector_batch_size: int = parameter(16, "pictures a batch", low=1, high=1024)
    detector_learning_rate: float = parameter(2e-3, "peak learning rate of AdamW", low=1e-7, high=1.0)
    seed: int = parameter(0, "seed of everything random", low=0, high=2**31 - 1)


@dataclass(frozen=True)
class Crop:
    """Find the heads in illustrations and cut them out, with the labels of the pictures."""

    illustrations: str = parameter("", "labelled whole pictures: any dataset that prepare reads", input="dataset")
    detector: str = parameter("", "detector that finds the heads (runs:/ID/detector or a folder)", input="files")
    several: str = parameter("leave-out", "a picture in which several heads are found", choices=("leave-out", "largest", "all"))
    least_confidence: float = parameter(CONFIDENCE, "least confidence of a head", low=0.01, high=1.0)


@dataclass(frozen=True)
class Bundle:
    """Put detector, encoder and the recipe's classifier into one calibrated folder that recognises pictures; measure it."""

    detector: str = parameter("", "head detector (runs:/ID/detector or a folder)", input="files")
    onnx: str = parameter("", "ONNX encoder (runs:/ID/onnx or a folder)", input="files")
    embeddings: str = parameter("", "embeddings that embed wrote (runs:/ID/embeddings or a folder)", input="files")
    catalogue: str = parameter("", "catalogue with the pictures, for thumbnails and sketches", input="files")
    recipe: str = parameter("best", "how the encoder is trained and what names (encoder/recipes.py)", choices=tuple(RECIPES))
    references: int = parameter(5, "reference heads of each character in the gallery", low=1, high=1000)
    perceptron_epochs: int = parameter(60, "passes over the training part, where a Perceptron names", low=1, high=10_000)
    perceptron_learning_rate: float = parameter(1e-2, "its peak learning rate", low=1e-7, high=10.0)
    logistic_regression_c: float = parameter(0.1, "inverse of the penalty on large weights, where it names", low=1e-6, high=1e6)
    seed: int = parameter(0, "seed of everything random", low=0, high=2**31 - 1)


@dataclass(frozen=True)
class Evaluate:
    """Let a bundle name the heads of a catalogue's test part that no calibration saw."""

    bundle: str = parameter("", "bundle (runs:/ID/bundle, models:/crystal-eyes@champion, or a folder)", input="files")
    catalogue: str = parameter("", "catalogue that prepare wrote (runs:/ID/catalogue or a folder)", input="files")


STEPS = {
    "detector": Detector,
    "crop": Crop,
    "prepare": Prepare,
    "train": Train,
    "distill": Distill,
    "export": Export,
    "embed": Embed,
    "classify": Classify,
    "bundle": Bundle,
    "evaluate": Evaluate,
}
