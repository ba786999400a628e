"""What the page listens on, and how much it takes on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    host: str = "127.0.0.1"  # 0.0.0.0: other machines may come too; there is no login
    port: int = 7860
    max_upload_mb: int = 25  # MiB of one file; how many pixels it may have is pictures.MAX_PIXELS
    most_pictures: int = 10  # at once, from one person
    most_heads: int = 20  # shown of one picture, the surest; so many reference heads come along that more get slow to load
    at_once: int = 2  # people whose pictures are being looked at; the others wait
    waiting: int = 50  # people; who comes later is told to try again

    @property
    def max_upload(self) -> int:
        """Bytes."""
        return self.max_upload_mb * 2**20
