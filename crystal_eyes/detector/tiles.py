"""Tiles: the overlapping parts in which a picture is searched for small heads."""

import math

from crystal_eyes.detector.strips import Window

SIDE = 768  # pixels of the network's input for a tile: larger ones take more memory, smaller ones more overlap
OVERLAP = 160  # pixels of that input that two neighbors share: larger heads are whole where the whole picture is searched
# pixels of that input: larger heads are left to the whole picture, because in tiles parts of them look like heads
LARGEST = 320
PER_SIDE = 3  # at most: of a picture that needs more tiles, each shows a larger part, so that heads appear smaller
MAX_TILES = PER_SIDE**2
MAX_ENLARGEMENT = 1.25  # of a small picture: enlarged more, parts of large heads look like heads


def tiles(width: int, height: int) -> tuple[list[Window], int]:
    """The equally large parts of a picture, at most MAX_TILES, and the longer side of the network's input for each, pixels.

    A picture that is shown whole in SIDE pixels is one part. Two neighbors overlap by at least OVERLAP pixels of the input.
    """
    longer = max(width, height)
    reach = PER_SIDE * (SIDE - OVERLAP) + OVERLAP  # pixels of the input that the longer side can have
    scale = min(MAX_ENLARGEMENT, reach / longer)
    spans = [_spans(side, scale) for side in (width, height)]
    parts = [(left, top, right, bottom) for top, bottom in spans[1] for left, right in spans[0]]
    left, top, right, bottom = parts[0]
    return parts, min(SIDE, round(scale * max(right - left, bottom - top)))


def _spans(side: int, scale: float) -> list[tuple[int, int]]:
    """Start and end of each tile along a side of the picture, pixels."""
    if scale * side <= SIDE:
        return [(0, side)]
    overlap = OVERLAP / scale
    count = math.ceil((scale * side - OVERLAP) / (SIDE - OVERLAP) - 1e-9)  # the longer side is a whole number but for rounding
    length = min(side, round(overlap + (side - overlap) / count + 0.5))
    starts = [number * (side - length) // (count - 1) for number in range(count)]
    return [(start, start + length) for start in starts]
