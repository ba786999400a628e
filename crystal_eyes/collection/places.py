"""Where a picture of a collection comes from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Place:
    """A picture: a file, a member of an archive, or a moment of a video."""

    file: Path
    member: str = ""  # its name inside an archive
    time: float | None = None  # seconds since the start of a video

    def __str__(self) -> str:
        if self.time is not None:
            minutes, seconds = divmod(self.time, 60)
            return f"{self.file} at {int(minutes)}:{seconds:05.2f}"
        return f"{self.file}!{self.member}" if self.member else str(self.file)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: file, and member or time where it has one."""
        more = ({"member": self.member} if self.member else {}) | ({"time": self.time} if self.time is not None else {})
        return {"file": str(self.file)} | more
