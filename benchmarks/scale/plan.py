"""The tables of docs/scale.md, computed from measured rates: python benchmarks/scale/plan.py [pictures] [heads]

Measures nothing. Every input below says where it was measured (docs/results.md), or that it is an assumption. What is computed
for sizes that nobody has measured is an extrapolation by the formula that stands beside it.
"""

import sys

# measured: docs/results.md, "Cost of a recognition" and "Collections", 2026-11-28, 2 idle cores
CORES = 2
PICTURES_A_SECOND = 40.0  # a folder of pictures of 1000 x 1000 pixels with one head each, on CORES
SECONDS_A_HEAD = 0.0074  # of embedding one head, on CORES
BYTES_A_HEAD = 777  # of a collection of 1,000,000 heads
SKETCH_BYTES, EMBEDDING_BYTES = 64, 512  # of these; the rest is the database
SEARCH = {100_000: 0.011, 1_000_000: 0.061}  # seconds, median, by heads

# assumptions: replace them by your own
CORE_HOUR = 0.04  # dollars for a core and an hour
GIGABYTE_MONTH = 0.02  # dollars for object storage
MEMORY_HOUR = 0.005  # dollars for a gigabyte of memory and an hour
MACHINE_CORES = 16
PICTURE_BYTES = 500_000  # of an encoded picture
HOURS_A_MONTH = 730


def core_seconds(pictures: float, heads: float) -> float:
    """Of looking at pictures: the measured folder has one head a picture, further heads cost an embedding each."""
    return CORES * (pictures / PICTURES_A_SECOND + max(0.0, heads - pictures) * SECONDS_A_HEAD)


def search_law() -> tuple[float, float]:
    """Seconds of a search = first + second x heads, through the two measured points, on CORES."""
    (few, fast), (many, slow) = sorted(SEARCH.items())
    each = (slow - fast) / (many - few)
    return fast - each * few, each


def search_seconds(heads: float, cores: int = CORES) -> float:
    """The scan of the sketches is divided over the cores, which was measured for CORES only."""
    fixed, each = search_law()
    return fixed + each * heads * CORES / cores


def looking(pictures: float, heads: float) -> list[list[str]]:
    total = core_seconds(pictures, heads)
    rows = [["machines of 16 cores", "hours", "pictures/s", "heads/s", "dollars"]]
    for machines in (1, 10, 100, 1000):
        seconds = total / (machines * MACHINE_CORES)
        dollars = total / 3600 * CORE_HOUR
        rows.append([f"{machines:,}", f"{seconds / 3600:,.1f}", f"{pictures / seconds:,.0f}", f"{heads / seconds:,.0f}",
                     f"{dollars:,.0f}"])  # fmt: skip
    return rows


def storing(pictures: float, heads: float) -> list[list[str]]:
    rows = [["what", "bytes each", "GB", "dollars a month"]]
    for what, count, each in (
        ("pictures", pictures, PICTURE_BYTES),
        ("sketches, which every search reads", heads, SKETCH_BYTES),
        ("embeddings in 8 bits", heads, EMBEDDING_BYTES),
        ("database of places and boxes", heads, BYTES_A_HEAD - SKETCH_BYTES - EMBEDDING_BYTES),
    ):
        size = count * each / 1e9
        rows.append([what, f"{each:,}", f"{size:,.0f}", f"{size * GIGABYTE_MONTH:,.0f}"])
    return rows


def searching(heads: float) -> list[list[str]]:
    rows = [["shards", "heads each", "sketches in memory each, GB", "ms on 2 cores", "ms on 16 cores", "dollars a month"]]
    for shards in (1, 10, 100):
        each = heads / shards
        memory = each * SKETCH_BYTES / 1e9
        month = shards * HOURS_A_MONTH * (MACHINE_CORES * CORE_HOUR + memory * MEMORY_HOUR)
        rows.append([f"{shards:,}", f"{each:,.0f}", f"{memory:,.2f}", f"{1000 * search_seconds(each):,.0f}",
                     f"{1000 * search_seconds(each, MACHINE_CORES):,.0f}", f"{month:,.0f}"])  # fmt: skip
    return rows


def as_markdown(rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], f"|{'---|' * len(rows[0])}", *lines[1:]])


def tables(pictures: float, heads: float) -> list[str]:
    return [as_markdown(rows) for rows in (looking(pictures, heads), storing(pictures, heads), searching(heads))]


if __name__ == "__main__":
    numbers = [float(text) for text in sys.argv[1:]] or [1e8, 1e9]
    print("\n\n".join(tables(*numbers)))
