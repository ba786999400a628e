"""The chain of steps that main runs: which step gets which parameters, and which result of which other step."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from crystal_eyes.artifacts import local_path
from crystal_eyes.encoder.recipes import RECIPES, filled
from crystal_eyes.errors import UserError
from pipeline.cache.key import ROOT
from pipeline.parameters.declare import parameter
from pipeline.parameters.steps import CLASSIFIERS, STEPS
from pipeline.tuned import with_tuned

HEAD_DETECTOR = str(ROOT / "models" / "head-detector")  # comes with the project
CLASSIFIER_PARAMETERS = {f.name: next((c for c in CLASSIFIERS if f.name.startswith(f"{c}_")), None)
                         for f in dataclasses.fields(STEPS["classify"])}  # fmt: skip
BUILT_ON = {"tip_adapter": "perceptron"}  # takes the other's parameters too


def _main_fields() -> list[tuple[str, Any, Any]]:
    """Every step's parameters once, without those that the chain fills in, then main's own."""
    fields: dict[str, tuple[str, Any, Any]] = {}
    for config in STEPS.values():
        for f in dataclasses.fields(config):
            if f.name != "classifier" and (f.metadata["input"] != "files" or f.default or f.metadata["optional"]):
                fields.setdefault(f.name, (f.name, f.type, dataclasses.field(default=f.default, metadata=f.metadata)))
    own = {
        "detector": parameter(
            "", "detector that finds heads; empty: for illustrations one is trained, else models/head-detector"
        ),
        "classifiers": parameter(",".join(CLASSIFIERS), "which classifiers to compare, separated by commas"),
        "params": parameter("", "best_parameters.json of a sweep: values of train's parameters", input="files", optional=True),
        "cache": parameter("on", "reuse finished steps", choices=("on", "off")),
        "plan": parameter(False, "print what would run and why, run nothing"),
    }
    return [*fields.values(), *((name, type(f.default), f) for name, f in own.items())]


Main = dataclasses.make_dataclass("Main", _main_fields(), frozen=True)
Main.__doc__ = "(Detector, crop,) prepare, train, distill, export, embed, compare classifiers, bundle; reuses finished steps."


class Result(Protocol):
    """What a step of the chain gives to the next ones."""

    def output(self, name: str) -> str: ...


Runner = Callable[[str, dict[str, Any]], Result]


@dataclass(frozen=True)
class Chained:
    """What a whole chain gives."""

    classifiers: dict[str, Result]  # by name, those that were asked for
    bundle: Result
    evaluation: Result  # of the bundle, on heads that no calibration saw
    catalogue: str
    naming: str  # the classifier that the bundle uses


def run_chain(config: Any, run: Runner) -> Chained:
    """Call `run(entry point, parameters)` for every step in order."""
    chosen = [name.strip() for name in config.classifiers.split(",") if name.strip()]
    unknown = sorted(set(chosen) - set(CLASSIFIERS))
    if unknown or not chosen:
        raise UserError(f"classifiers={config.classifiers}: choose some of {', '.join(CLASSIFIERS)}")

    config = filled(with_tuned(config))  # what a step is given, and known by, is the value, not where it came from

    def own(entry_point: str, classifier: str = "") -> dict[str, Any]:
        names = [f.name for f in dataclasses.fields(STEPS[entry_point])]
        # another classifier's parameter is none of its business: changing it must not run this one again
        taken = (None, classifier, BUILT_ON.get(classifier)) if classifier else CLASSIFIER_PARAMETERS.values()
        return {n: getattr(config, n) for n in names if hasattr(config, n) and CLASSIFIER_PARAMETERS.get(n) in taken}

    dataset, detector = own("prepare"), config.detector
    if detector:
        local_path(detector)  # needed at the very end: say now that it isn't there
    if config.illustrations:
        if config.dataset:
            raise UserError(
                "dataset and illustrations are both given: give heads as dataset, or whole pictures as illustrations"
            )
        detector = detector or run("detector", own("detector")).output("detector")
        dataset["dataset"] = run("crop", own("crop") | {"detector": detector}).output("heads")
    catalogue = run("prepare", dataset).output("catalogue")
    encoder = run("train", {"catalogue": catalogue, **own("train")}).output("encoder")
    if config.distill_epochs:
        other = run("train", {"catalogue": catalogue, **own("train"), "seed": (config.seed + 1) % 2**31}).output("encoder")
        both = {"catalogue": catalogue, "encoder": encoder, "other": other}
        encoder = run("distill", both | own("distill")).output("encoder")
    onnx = run("export", {"encoder": encoder, "catalogue": catalogue}).output("onnx")
    embeddings = run("embed", {"onnx": onnx, "catalogue": catalogue, **own("embed")}).output("embeddings")
    results = {}
    for name in dict.fromkeys(chosen):
        given = {"embeddings": embeddings, "catalogue": catalogue, "classifier": name}
        results[name] = run("classify", given | own("classify", name))
    bundle = run("bundle", own("bundle", RECIPES[config.recipe].classifier) | {
        "detector": detector or HEAD_DETECTOR, "onnx": onnx, "embeddings": embeddings, "catalogue": catalogue})  # fmt: skip
    evaluation = run("evaluate", {"bundle": bundle.output("bundle"), "catalogue": catalogue})
    return Chained(results, bundle, evaluation, catalogue, RECIPES[config.recipe].classifier)
