"""The parameters of the entry points that chain steps: their own, and those of the steps that they run."""

from dataclasses import dataclass

from crystal_eyes.classifiers.registry import CLASSIFIERS, LINEAR
from pipeline.parameters.declare import Together, parameter, parts
from pipeline.parameters.steps import Bundle, Classify, Crop, Detector, Distill, Embed, Prepare, Train


@dataclass(frozen=True)
class MainOptions:
    """The parameters of main in addition to those of its steps."""

    detector: str = parameter(
        "", "detector that finds heads; empty: one is trained for illustrations, otherwise models/head-detector"
    )
    classifiers: str = parameter(",".join(CLASSIFIERS), "classifiers to compare, separated by commas")
    naming: str | None = parameter(
        None, f"classifier that names heads in the bundle, one of {', '.join(LINEAR)}; empty: the recipe's choice"
    )
    params: str = parameter(
        "", "best_parameters.json of a sweep, with values for the parameters of train", input="files", optional=True
    )
    cache: str = parameter("on", "reuse finished steps", choices=("on", "off"))
    plan: bool = parameter(False, "print what would run and why, without running it")


@dataclass(frozen=True)
class Main(Together):
    """Prepare, train, distill, export, embed, compare classifiers, bundle, evaluate; reuses finished steps."""

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
