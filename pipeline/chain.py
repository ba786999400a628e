"""The chain of steps that main runs: which step gets which parameters, and which results of other steps."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlflow.entities import Run

from crystal_eyes.artifacts import local_path
from crystal_eyes.classifiers.registry import CLASSIFIERS, LINEAR, option_fields
from crystal_eyes.errors import UserError
from pipeline.cache.key import PENDING, ROOT
from pipeline.parameters.declare import input_path, own_fields, own_values
from pipeline.parameters.encoders import encoder_backbone
from pipeline.parameters.entry_points import Main
from pipeline.parameters.recipes import RECIPES
from pipeline.parameters.steps import Bundle, Classify, Distill, Embed, Prepare, Train
from pipeline.tuned import read_tuned, with_values

HEAD_DETECTOR = str(ROOT / "models" / "head-detector")  # comes with the project


@dataclass(frozen=True)
class StepResult:
    """What a step gives to the next ones. run: None where a plan finds that it would have to run."""

    run: Run | None

    def output(self, name: str) -> str:
        """The URI of one of the step's artifacts."""
        return f"runs:/{self.run.info.run_id}/{name}" if self.run else f"{PENDING}{name}"

    @property
    def finished(self) -> Run:
        """The run of a step that has run."""
        assert self.run
        return self.run


Runner = Callable[[str, dict[str, Any]], StepResult]  # entry point, parameters -> result


@dataclass(frozen=True)
class ChainResult:
    """What the whole chain gives."""

    classifiers: dict[str, StepResult]  # by name, those that were asked for
    naming: str  # the classifier that names heads in the bundle
    bundle: StepResult
    evaluation: StepResult
    catalogue: str


@dataclass(frozen=True)
class FittedChain:
    """What the chain gives before a bundle is made of it."""

    classifiers: dict[str, StepResult]  # by name, those that were asked for
    naming: str  # the classifier that names heads in the bundle
    catalogue: str
    encoder: str  # URI or folder, as export was given it
    bundle_parameters: dict[str, Any]  # of the step bundle


def run_chain(main: Main, run: Runner) -> ChainResult:
    """Call `run(entry point, parameters)` for every step in order. Raises UserError on contradictory parameters."""
    fitted = fit_classifiers(main, run)
    bundle = run("bundle", fitted.bundle_parameters)
    evaluation = run("evaluate", {"bundle": bundle.output("bundle"), "catalogue": fitted.catalogue})
    return ChainResult(fitted.classifiers, fitted.naming, bundle, evaluation, fitted.catalogue)


def fit_classifiers(main: Main, run: Runner) -> FittedChain:
    """The steps of the chain up to the classifiers. Raises UserError on contradictory parameters."""
    options = main.options
    compared = [name.strip() for name in options.classifiers.split(",") if name.strip()]
    unknown = sorted(set(compared) - set(CLASSIFIERS))
    if unknown or not compared:
        raise UserError(f"parameter classifiers={options.classifiers}: choose one or more of {', '.join(CLASSIFIERS)}")
    train = main.train
    if options.params:
        train = with_values(train, read_tuned(options.params), "params")
    distill = dataclasses.replace(main.distill, recipe=train.recipe)
    naming = options.naming or RECIPES[train.recipe].classifier
    if naming not in LINEAR:
        raise UserError(f"parameter naming={naming}: choose one of {', '.join(LINEAR)}")
    if options.encoder:
        _require_encoder(main)
    else:  # a step is called with, and known by, its resolved values, wherever they came from
        train, distill = train.resolved(), distill.resolved()

    prepare, detector = own_values(main.prepare), options.detector
    if detector:
        local_path(detector)  # needed late: say now that it does not exist
    audited = main.crop.illustrations or main.prepare.dataset
    if options.audit and not audited:
        raise UserError("audit=true needs dataset or illustrations: the built-in cast is drawn without mistakes")
    if main.crop.illustrations and main.prepare.dataset:
        raise UserError("dataset and illustrations are both given: give dataset for heads, or illustrations for whole pictures")
    if options.audit:  # first: who reads it may stop the run and correct the dataset
        run("audit", {"dataset": audited, "confidence": main.prepare.confidence})
    if main.crop.illustrations:
        detector = detector or run("detector", own_values(main.detector)).output("detector")
        prepare["dataset"] = run("crop", {"detector": detector, **own_values(main.crop)}).output("heads")
    catalogue = run("prepare", prepare).output("catalogue")
    encoder = options.encoder or _trained(train, distill, catalogue, run)
    onnx = run("export", {"encoder": encoder, "catalogue": catalogue}).output("onnx")
    embeddings = run("embed", {"onnx": onnx, "catalogue": catalogue, **own_values(main.embed)}).output("embeddings")

    classifiers = {}
    for name in dict.fromkeys([*compared, naming]):
        # other classifiers' options are left out: changing one of them must not run this one again
        own = {option: getattr(main.classify, option) for option in ("seed", *option_fields(name))}
        given = {"embeddings": embeddings, "catalogue": catalogue, "classifier": name}
        classifiers[name] = run("classify", given | own)
    bundle = {
        "detector": detector or HEAD_DETECTOR,
        "onnx": onnx,
        "embeddings": embeddings,
        "classifier": classifiers[naming].output("classifier"),
        "catalogue": catalogue,
        **own_values(main.bundle),
    }
    return FittedChain(classifiers, naming, catalogue, encoder, bundle)


def _trained(train: Train, distill: Distill, catalogue: str, run: Runner) -> str:
    """The URI of an encoder that is trained on the catalogue, and distilled if the resolved parameters say so."""
    encoder = run("train", {"catalogue": catalogue, **own_values(train)}).output("encoder")
    if not distill.distill_epochs:
        return encoder
    teachers = {"encoder": encoder}
    for number, name in enumerate(("other", "third")[: RECIPES[train.recipe].teachers - 1], 1):
        seed = (train.seed + number) % 2**31
        teachers[name] = run("train", {"catalogue": catalogue, **own_values(train), "seed": seed}).output("encoder")
    return run("distill", {"catalogue": catalogue, **teachers, **own_values(distill)}).output("encoder")


def _require_encoder(main: Main) -> None:
    """Raise UserError where the given encoder is none, or a parameter is given that only a training has."""
    given = main.options.encoder
    encoder_backbone(input_path(main.options, "encoder"))
    shared = {field.name for part in (Prepare, Embed, Classify, Bundle) for field in own_fields(part)} | {"recipe", "wandb"}
    for part in (main.train, main.distill):
        for field in own_fields(type(part)):
            value = getattr(part, field.name)
            idle = field.name in shared or (field.name == "distill_epochs" and value == 0)
            if value != field.default and not idle:
                raise UserError(f"encoder={given} trains no encoder: leave {field.name}={value} out")
    if main.options.params:
        raise UserError(f"encoder={given} trains no encoder: leave params={main.options.params} out")
