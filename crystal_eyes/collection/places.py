"""Where a picture of a collection comes from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crystal_eyes.data.storage import S3

STORED = "s3:/"  # pathlib makes one slash of the two in s3://


def is_stored(file: Path) -> bool:
    """Whether a path is one in S3."""
    return str(file).startswith(STORED)


def address(file: Path) -> str:
    """A path as it is written; in S3: s3://BUCKET/KEY."""
    return S3 + str(file).removeprefix(STORED) if is_stored(file) else str(file)


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
        return f"{self.file}!{self.member}" if self.member else address(self.file)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: file, and member or time where it has one."""
        more = ({"member": self.member} if self.member else {}) | ({"time": self.time} if self.time is not None else {})
        return {"file": address(self.file)} | more
