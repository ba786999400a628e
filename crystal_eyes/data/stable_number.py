"""Numbers that depend only on a text."""

import hashlib


def stable_number(text: str) -> int:
    """A 64-bit number derived from a text, the same in every process.

    Seeding a generator with a character's number makes its random draws independent of the other characters.
    """
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
