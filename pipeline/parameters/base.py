"""What the parameters of all steps have in common."""

from dataclasses import dataclass
from typing import Any, Self

from crystal_eyes.errors import UserError
from pipeline.parameters.declare import parameter, values

LOCAL, RAY = "local", "ray"  # engines
FLEET = ("engine", "address", "shards")  # fields of FleetParameters


@dataclass(frozen=True)
class StepParameters:
    """What the parameters of all steps have in common."""

    def resolved(self) -> Self:
        """A copy in which empty parameters have their actual values."""
        return self

    def key_values(self) -> dict[str, Any]:
        """The values that the step's result depends on, in addition to its inputs."""
        return values(self)

    def extra_sources(self) -> list[str]:
        """Files of this repository that the result depends on, in addition to the step's own and their imports."""
        return []


@dataclass(frozen=True)
class FleetParameters(StepParameters):
    """The parameters of a step that many machines can do. main does its steps on this machine."""

    engine: str = parameter(
        LOCAL, "local: this machine; ray: a Ray cluster, which writes shards instead of single files", choices=(LOCAL, RAY),
        chained=True,
    )  # fmt: skip
    address: str = parameter(
        "", "engine=ray: HOST:PORT of the cluster, of which this machine is a part; empty: one on this machine, for this step",
        chained=True,
    )  # fmt: skip
    shards: str = parameter(
        "", "engine=ray: empty folder that all machines share, or s3://BUCKET/PREFIX, for the shards; empty: with the result",
        chained=True,
    )  # fmt: skip

    def resolved(self) -> Self:
        if self.engine == LOCAL:
            for name in ("address", "shards"):
                if value := getattr(self, name):
                    raise UserError(f"parameter {name}={value}: it needs engine={RAY}")
        return self

    def key_values(self) -> dict[str, Any]:
        # where a cluster is does not change what it writes; what this machine wrote before there was an engine stays valid
        found = values(self)
        return {name: found[name] for name in found if name not in FLEET} | ({"engine": RAY} if self.engine == RAY else {})

    def extra_sources(self) -> list[str]:
        return [f"crystal_eyes/fleet/{type(self).__name__.lower()}.py"] if self.engine == RAY else []
