"""What the parameters of all steps have in common."""

from dataclasses import dataclass
from typing import Any, Self

from pipeline.parameters.declare import values


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
