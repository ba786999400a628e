"""Where a training runs: in the step's process, or in several processes under torchrun, on one machine or on several."""

from dataclasses import dataclass
from typing import Any, Self

from crystal_eyes.encoder.options import Processes
from crystal_eyes.errors import UserError
from pipeline.parameters.base import StepParameters
from pipeline.parameters.declare import from_option, parameter, values

LOCAL, TORCHRUN = "local", "torchrun"


@dataclass(frozen=True)
class TrainingParameters(StepParameters):
    """The parameters of a training's engine. They are not part of the cache key, as the GPU that it runs on is not."""

    engine: str = parameter(LOCAL, "one process, or several under torchrun: see processes", choices=(LOCAL, TORCHRUN))
    processes: int = from_option(Processes, "processes")
    machines: int = from_option(Processes, "machines")
    rendezvous: str = from_option(Processes, "rendezvous")

    def resolved(self) -> Self:
        given = {name: value for name, value in engine_values(self).items() if value != getattr(Processes, name)}
        if self.engine == LOCAL and given:
            raise UserError(f"{' and '.join(given)} need engine={TORCHRUN}: give it, or leave {' and '.join(given)} out")
        if (self.machines > 1) != bool(self.rendezvous):
            raise UserError("several machines need rendezvous=HOST:PORT, an address of the first one; one machine needs none")
        return self

    def processes_options(self) -> Processes | None:
        """The processes that train; None: this one alone."""
        return Processes(**engine_values(self)) if self.engine == TORCHRUN else None


def engine_values(parameters: TrainingParameters) -> dict[str, Any]:
    """The values of Processes, by field."""
    return {name: getattr(parameters, name) for name in Processes.__dataclass_fields__}


def without_engine(parameters: TrainingParameters) -> dict[str, Any]:
    """The values that are not inputs, without those of the engine."""
    return {name: value for name, value in values(parameters).items() if name not in TrainingParameters.__dataclass_fields__}
