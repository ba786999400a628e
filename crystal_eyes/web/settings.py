"""Where the page listens and how much it accepts."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    host: str = "127.0.0.1"  # 0.0.0.0: reachable from other machines; there is no login
    port: int = 7860  # 0: any free port
    max_upload_mb: int = 25  # MiB of one picture; images.MAX_PIXELS limits its pixels
    max_pictures: int = 10  # that the page sends in one go, one request each
    max_heads: int = 20  # shown of one picture, the surest; with more, the reference heads make the page slow to load
    collection: Path | None = None  # folder of the collection that is searched; None: there is no such view
    max_matches: int = 24  # pictures of the collection that are shown for a head
    at_once: int = 2  # pictures processed in parallel
    waiting: int = 50  # pictures that may wait for their turn; further ones are told to try again

    @property
    def max_upload(self) -> int:
        """Bytes."""
        return self.max_upload_mb * 2**20

    @property
    def too_large(self) -> str:
        return f"The limit is {self.max_upload_mb} MB per picture: make this one smaller and try again."
