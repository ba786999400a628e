"""Numbers that depend on a text alone."""

import hashlib


def stable_number(text: str) -> int:
    """A 64-bit number derived from a text, the same in every process.

    Seeding a generator with a character's number makes its draws independent of which other characters there are.
    """
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
