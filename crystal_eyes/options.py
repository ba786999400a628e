"""Options of library functions: small frozen dataclasses whose fields declare their meaning and allowed values."""

import dataclasses
from collections.abc import Sequence
from typing import Any


def option(default: Any, help: str, *, low: float | None = None, high: float | None = None, choices: Sequence[str] = ()) -> Any:
    """A field of an options dataclass: its default, one line of help, inclusive bounds, allowed words.

    Entry points derive their parameters from these fields, so that each default is in one place.
    """
    return dataclasses.field(default=default, metadata={"help": help, "low": low, "high": high, "choices": tuple(choices)})
