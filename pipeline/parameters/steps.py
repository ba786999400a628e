"""The parameters of each step: one frozen dataclass per step. Defaults that the library declares are taken from it."""

import dataclasses
from dataclasses import asdict, dataclass
from typing import Any, Self

from crystal_eyes.boxes import FACE_MARGINS
from crystal_eyes.classifiers.registry import CLASSIFIERS, option_fields
from crystal_eyes.data.options import CastOptions, SelectionOptions, SplitOptions
from crystal_eyes.detector.training.options import DetectorTrainingOptions
from crystal_eyes.encoder.defaults import BATCH
from crystal_eyes.encoder.options import DistillationOptions, TrainingOptions
from crystal_eyes.recognizer.build.options import BundleOptions
from pipeline.parameters.base import FleetParameters, StepParameters
from pipeline.parameters.declare import from_option, input_path, parameter, step_result
from pipeline.parameters.encoders import RELEASED, RELEASED_BUNDLE, required_backbone
from pipeline.parameters.engines import TrainingParameters, without_engine
from pipeline.parameters.recipes import MIN_EMBEDDING_SIZE, MIN_IMAGE_SIZE, RECIPES, with_recipe_defaults

CATALOGUE = "catalogue written by prepare (runs:/ID/catalogue or a folder)"
EMBEDDINGS = "embeddings written by embed (runs:/ID/embeddings or a folder)"
EMPTY = "empty: the recipe's value"


def _seed() -> Any:
    return parameter(0, "random seed", low=0, high=2**31 - 1)


def _confidence() -> Any:
    return parameter(0.85, "Danbooru 2018 dataset: minimum confidence of a box", low=0.0, high=1.0)


def _recipe() -> Any:
    return parameter("best", "how the encoder is trained and which classifier names heads", choices=tuple(RECIPES))


@dataclass(frozen=True)
class Detector(StepParameters):
    """Train a YOLOv5 head detector on labeled pictures and composed scenes; export it to ONNX and evaluate it."""

    labels: str = parameter(
        "", "pictures with boxes of heads: a YOLO folder, or a table or JSON of boxes", input="files", optional=True
    )
    faces: str = parameter(
        "", "like labels, but with boxes of faces, which face_margins extends to heads", input="files", optional=True
    )
    face_margins: str = parameter(
        ",".join(map(str, FACE_MARGINS)),
        "how far a head extends beyond its face: left,top,right,bottom as fractions of the face box",
    )
    heads: str = parameter(
        "", "folder of head pictures to paste into scenes in addition to the cast", input="files", optional=True
    )
    labeller: str = parameter(
        "", "detector that locates the head in each picture of heads; empty: they are already cropped to it",
        input="files", optional=True,
    )  # fmt: skip
    scenes: int = parameter(400, "number of composed scenes to train on", low=0, high=1_000_000)
    repeat: int = parameter(4, "how often each labeled picture is shown per epoch", low=1, high=1000)
    circles: bool = from_option(DetectorTrainingOptions, "circles")
    architecture: str = from_option(DetectorTrainingOptions, "architecture")
    detector_weights: str = parameter(
        "", "initial weights: .safetensors of a detector, or an ultralytics .pt file", input="files", optional=True
    )
    detector_image_size: int = from_option(DetectorTrainingOptions, "image_size")
    detector_multi_scale: float = from_option(DetectorTrainingOptions, "multi_scale")
    detector_epochs: int = from_option(DetectorTrainingOptions, "epochs")
    detector_batch_size: int = from_option(DetectorTrainingOptions, "batch_size")
    detector_learning_rate: float = from_option(DetectorTrainingOptions, "learning_rate")
    seed: int = _seed()

    def options(self) -> DetectorTrainingOptions:
        return DetectorTrainingOptions(
            architecture=self.architecture,
            image_size=self.detector_image_size,
            multi_scale=self.detector_multi_scale,
            epochs=self.detector_epochs,
            batch_size=self.detector_batch_size,
            learning_rate=self.detector_learning_rate,
            circles=self.circles,
            seed=self.seed,
        )


@dataclass(frozen=True)
class Audit(StepParameters):
    """Find what is wrong in a labeled dataset: wrong labels, the same picture twice, no or several heads."""

    dataset: str = parameter("", "labeled heads or whole pictures: any dataset that prepare reads", input="dataset")
    audited_with: str = parameter(
        "released", "bundle whose detector and encoder look at the pictures", input="files", places=RELEASED_BUNDLE
    )
    confidence: float = _confidence()


@dataclass(frozen=True)
class Crop(FleetParameters):
    """Find the heads in labeled illustrations and crop them; the heads keep the labels."""

    illustrations: str = parameter("", "labeled whole pictures: any dataset that prepare reads", input="dataset")
    detector: str = step_result("detector that finds the heads (runs:/ID/detector or a folder)")
    several: str = parameter(
        "leave-out", "what to do with a picture in which more than one head is found", choices=("leave-out", "largest", "all")
    )
    least_confidence: float = parameter(0.0, "minimum confidence of a head; 0: the detector's default", low=0.0, high=1.0)


@dataclass(frozen=True)
class Prepare(FleetParameters):
    """Read a dataset into the catalogue, select characters and pictures, write the splits."""

    dataset: str = parameter(
        "", "folder per character, table, or Danbooru 2018 dataset; empty: the built-in cast", input="dataset", optional=True
    )
    characters: int = from_option(CastOptions, "characters")
    pictures: int = from_option(CastOptions, "pictures")
    min_pictures: int = from_option(SelectionOptions, "min_pictures")
    pictures_per_character: int = from_option(SelectionOptions, "pictures_per_character")
    train_per_character: int = from_option(SplitOptions, "train_per_character")
    test_per_character: int = from_option(SplitOptions, "test_per_character")
    validation_characters: float = from_option(SplitOptions, "validation_characters")
    test_characters: float = from_option(SplitOptions, "test_characters")
    near_duplicate_bits: int = from_option(SelectionOptions, "near_duplicate_bits")
    confidence: float = _confidence()
    seed: int = _seed()


@dataclass(frozen=True)
class Train(TrainingParameters):
    """Train the encoder with metric learning; keep the epoch with the best MAP@R on unseen characters."""

    catalogue: str = step_result(CATALOGUE)
    recipe: str = _recipe()
    backbone: str | None = parameter(
        None, f"name of a geffnet network, such as mixnet_s; {EMPTY}, or the released encoder's with its weights"
    )
    weights: str | None = parameter(
        None, f"initial weights: of ImageNet (pretrained), of the released encoder, none, those of an encoder's folder, or a "
        f".safetensors or .pth file; {EMPTY}", input="files", choices=("pretrained", "none"), places=RELEASED,
    )  # fmt: skip
    embedding_size: int | None = parameter(None, f"dimension of the embeddings; {EMPTY}", low=MIN_EMBEDDING_SIZE, high=4096)
    image_size: int | None = parameter(
        None, f"side of the encoder's square input, pixels; {EMPTY}", low=MIN_IMAGE_SIZE, high=512
    )
    epochs: int | None = parameter(None, f"passes over the training heads; {EMPTY}", low=1, high=10_000)
    batch_size: int = from_option(TrainingOptions, "batch_size")
    pictures_per_class: int = from_option(TrainingOptions, "pictures_per_class")
    learning_rate: float = from_option(TrainingOptions, "learning_rate")
    weight_decay: float = from_option(TrainingOptions, "weight_decay")
    drop_rate: float = parameter(0.0, "dropout before the embedding layer", low=0.0, high=0.9)
    drop_connect_rate: float | None = parameter(
        None, f"drop connect (stochastic depth) in the backbone; {EMPTY}", low=0.0, high=0.9
    )
    wandb: str = parameter("off", "also log to Weights & Biases", choices=("off", "offline", "online"))
    seed: int = _seed()

    def resolved(self) -> Self:
        own = with_recipe_defaults(super().resolved())
        if own.weights not in RELEASED:
            return own
        return dataclasses.replace(own, backbone=required_backbone(self.backbone, own.weights, input_path(own, "weights")))

    def options(self) -> TrainingOptions:
        """The options of the training, of resolved parameters."""
        return RECIPES[self.recipe].training_options(
            epochs=self.epochs,
            batch_size=self.batch_size,
            pictures_per_class=self.pictures_per_class,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            seed=self.seed,
        )

    def key_values(self) -> dict[str, Any]:
        # what a recipe says counts, not its name: changing one recipe leaves the results of the other valid
        found = without_engine(self) | asdict(self.options())
        return {name: value for name, value in found.items() if name != "recipe"}


@dataclass(frozen=True)
class Distill(TrainingParameters):
    """Distill one encoder from two or three that were trained with different seeds; keep its best epoch."""

    catalogue: str = step_result("catalogue that all encoders were trained on (runs:/ID/catalogue or a folder)")
    encoder: str = step_result("encoder written by train, from which the student is initialized (runs:/ID/encoder)")
    other: str = step_result("encoder written by train with another seed")
    third: str = step_result("encoder written by train with a third seed; empty: two are enough", optional=True)
    recipe: str = _recipe()
    distill_epochs: int | None = parameter(
        None, f"passes over the training heads; 0: main trains one encoder, without distillation; {EMPTY}", low=0, high=10_000
    )
    distill_learning_rate: float = from_option(DistillationOptions, "learning_rate")
    batch_size: int = from_option(TrainingOptions, "batch_size")
    weight_decay: float = from_option(TrainingOptions, "weight_decay")
    seed: int = _seed()

    def resolved(self) -> Self:
        return with_recipe_defaults(super().resolved())

    def options(self) -> DistillationOptions:
        """The options of the distillation, of resolved parameters."""
        return RECIPES[self.recipe].distillation_options(
            epochs=self.distill_epochs,
            batch_size=self.batch_size,
            learning_rate=self.distill_learning_rate,
            weight_decay=self.weight_decay,
            seed=self.seed,
        )

    def key_values(self) -> dict[str, Any]:
        return asdict(self.options())


@dataclass(frozen=True)
class Export(StepParameters):
    """Export the encoder to ONNX and check it against torch on real heads."""

    encoder: str = step_result("encoder written by train or distill (runs:/ID/encoder, a folder, or released)", RELEASED)
    catalogue: str = step_result("catalogue with the heads for the check")


@dataclass(frozen=True)
class Embed(FleetParameters):
    """Embed every head of a catalogue with the ONNX encoder; report MAP@R on the test characters."""

    onnx: str = step_result("ONNX encoder (runs:/ID/onnx, models:/NAME/VERSION, or a file)")
    catalogue: str = step_result(CATALOGUE)
    embed_batch: int = parameter(BATCH, "heads per batch", low=1, high=4096)


# the options of every classifier, as the parameters CLASSIFIER_OPTION
_ClassifierParameters: Any = dataclasses.make_dataclass(
    "_ClassifierParameters",
    [
        (f"{name}_{field.name}", field.type, from_option(kind.Options, field.name))
        for name, kind in CLASSIFIERS.items()
        for field in dataclasses.fields(kind.Options)
    ],
    bases=(StepParameters,),
    frozen=True,
)


@dataclass(frozen=True)
class Classify(_ClassifierParameters):
    """Fit one classifier on the training part of the embeddings and evaluate it on the test part."""

    embeddings: str = step_result(EMBEDDINGS)
    catalogue: str = step_result("catalogue with the pictures for the report")
    classifier: str = parameter("perceptron", "classifier to fit", choices=tuple(CLASSIFIERS), chained=True)
    seed: int = _seed()

    def key_values(self) -> dict[str, Any]:
        own = ["classifier", "seed", *option_fields(self.classifier)]
        return {name: getattr(self, name) for name in own}

    def extra_sources(self) -> list[str]:
        kind = CLASSIFIERS[self.classifier]
        kinds = [kind, CLASSIFIERS[kind.built_on]] if kind.built_on else [kind]
        return [one.__module__.replace(".", "/") + ".py" for one in kinds]


@dataclass(frozen=True)
class Bundle(StepParameters):
    """Combine detector, encoder and classifier into a calibrated bundle that recognizes pictures; evaluate it."""

    detector: str = step_result("head detector (runs:/ID/detector or a folder)")
    onnx: str = step_result("ONNX encoder (runs:/ID/onnx or a folder)")
    embeddings: str = step_result(EMBEDDINGS)
    classifier: str = step_result("linear classifier written by classify (runs:/ID/classifier or a folder)")
    catalogue: str = step_result("catalogue with the pictures for thumbnails and sketches")
    references: int = from_option(BundleOptions, "references")
    thumbnails: bool = from_option(BundleOptions, "thumbnails")
    fit_all_heads: bool = from_option(BundleOptions, "fit_all_heads")
    released: bool = from_option(BundleOptions, "released")
    seed: int = _seed()


@dataclass(frozen=True)
class Evaluate(StepParameters):
    """Evaluate a bundle on the test heads of a catalogue that were not used for calibration."""

    bundle: str = step_result("bundle (runs:/ID/bundle, models:/crystal-eyes@champion, or a folder)")
    catalogue: str = step_result(CATALOGUE)


STEPS: dict[str, type[StepParameters]] = {
    "detector": Detector,
    "audit": Audit,
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
