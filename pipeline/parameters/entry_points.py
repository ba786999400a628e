"""The parameters of the entry points that chain steps: their own, and those of the steps that they run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from crystal_eyes.classifiers.registry import CLASSIFIERS, LINEAR
from crystal_eyes.errors import UserError
from pipeline.parameters.declare import Together, parameter, parse_together, parts, same_as
from pipeline.parameters.encoders import RELEASED
from pipeline.parameters.recipes import RECIPES
from pipeline.parameters.steps import Bundle, Classify, Crop, Detector, Distill, Embed, Prepare, Train


@dataclass(frozen=True)
class MainOptions:
    """The parameters of main in addition to those of its steps."""

    detector: str = parameter(
        "", "detector that finds heads; empty: one is trained for illustrations, otherwise models/head-detector"
    )
    encoder: str = parameter(
        "", "finished encoder to use instead of training one: released, or a folder with encoder.safetensors and encoder.json",
        input="files", optional=True, places=RELEASED,
    )  # fmt: skip
    classifiers: str = parameter(",".join(CLASSIFIERS), "classifiers to compare, separated by commas")
    naming: str | None = parameter(
        None, f"classifier that names heads in the bundle, one of {', '.join(LINEAR)}; empty: the recipe's choice"
    )
    params: str = parameter(
        "", "best_parameters.json of a sweep, with values for the parameters of train", input="files", optional=True
    )
    audit: bool = parameter(False, "also audit the dataset with the released recognizer and log what is wrong in it")
    cache: str = parameter("on", "reuse finished steps", choices=("on", "off"))
    plan: bool = parameter(False, "print what would run and why, without running it")


@dataclass(frozen=True)
class Main(Together):
    """Prepare, train and distill (or take an encoder), export, embed, compare classifiers, bundle; reuses finished steps."""

    options: MainOptions
    detector: Detector
    crop: Crop
    prepare: Prepare
    train: Train
    distill: Distill
    embed: Embed
    classify: Classify
    bundle: Bundle


MAIN = parts(Main)


@dataclass(frozen=True)
class ReleaseOptions:
    """The parameters of release in addition to those of the steps that it runs."""

    output: str = parameter("models/recognizer", "folder for the released recognizer; an earlier one in it is replaced")
    detector: str = same_as(MainOptions, "detector")
    encoder: str = same_as(MainOptions, "encoder")
    naming: str | None = same_as(MainOptions, "naming")
    params: str = same_as(MainOptions, "params")
    cache: str = same_as(MainOptions, "cache")
    plan: bool = same_as(MainOptions, "plan")


@dataclass(frozen=True)
class Release:
    """Rebuild the released recognizer from a dataset: main's chain, a bundle of all heads, a folder with bundle and encoder."""

    output: str
    main: Main  # compares no classifiers

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> Self:
        """Read a command line. Raises UserError on an unknown name, a bad value, or without a dataset."""
        own, *steps = parse_together((ReleaseOptions, *MAIN[1:]), arguments, cls.__doc__ or "")
        shared = {name: value for name, value in vars(own).items() if name != "output"}
        main = Main(MainOptions(**shared), *steps)
        if not main.prepare.dataset and not main.crop.illustrations:
            raise UserError("dataset is required: give labeled heads, or illustrations")
        naming = own.naming or RECIPES[main.train.recipe].classifier
        return cls(own.output, replace(main, options=replace(main.options, classifiers=naming)))


@dataclass(frozen=True)
class SweepOptions:
    """The parameters of sweep in addition to those of its steps."""

    config: str = parameter("sweeps/drop_rates.yaml", "sweep file, in W&B's format")
    trials: int = parameter(20, "total number of trials, including those of earlier calls", low=1, high=100_000)
    jobs: int = parameter(1, "trials that run in parallel on this machine", low=1, high=256)
    seeds: int = parameter(
        3, "number of seeds for comparing the best and the default parameters; 0: no comparison", low=0, high=100
    )
    storage: str = parameter(
        "", "database that machines share: postgresql://USER@HOST/NAME; empty: a local file in the cache folder"
    )
    cache: str = parameter("on", "reuse finished steps", choices=("on", "off"))


@dataclass(frozen=True)
class Sweep(Together):
    """Search parameters of train with a W&B sweep file; finished trials are kept, so an interrupted sweep resumes."""

    options: SweepOptions
    prepare: Prepare
    train: Train


SWEEP = parts(Sweep)
