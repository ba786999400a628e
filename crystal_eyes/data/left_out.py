"""What a step could not use, in words."""

from collections.abc import Sequence

MOST = 10  # reasons


def lines(left_out: Sequence[tuple[str, str]]) -> list[str]:
    """A line a reason, the commonest first, each with how often and the first example. left_out: (what, why)."""
    examples: dict[str, list[str]] = {}
    for what, why in left_out:
        examples.setdefault(why, []).append(what)
    common = sorted(examples.items(), key=lambda item: -len(item[1]))[:MOST]
    return [f"left out {len(whats)}: {why} (such as {whats[0]})" for why, whats in common]
