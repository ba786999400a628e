"""The embeddings of a collection or of enrolled characters, in two files that only grow, and the search in them.

embeddings.int8  int8 [rows, d]: each embedding's direction, scaled to its largest component
sketches.bin     uint64 [rows, words]: the signs of its components, one bit each

A search compares the query, rounded to 4 bits a component, with all sketches, and then exactly with the embeddings of the
most similar ones (as in Gao and Long, RaBitQ, 2024). There is nothing to train and nothing to rebuild when rows are added.
"""

import mmap
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

EMBEDDINGS, SKETCHES = "embeddings.int8", "sketches.bin"
CANDIDATES = 10_000  # rows that are compared exactly
BLOCK = 16_384  # rows that are compared at a time: they fit the cache of a core
STEPS = 7  # of a query's component on each side of zero
TO_SIGNS = np.sqrt(2 / np.pi)  # of a vector whose components are normally distributed


class Vectors:
    """The two files in a folder, with `rows` rows of `dimensions` components each.

    Rows beyond are what an interrupted process left, and are overwritten. prefix: of the files' names.
    """

    def __init__(self, folder: Path, dimensions: int, prefix: str = ""):
        self.paths = (folder / f"{prefix}{EMBEDDINGS}", folder / f"{prefix}{SKETCHES}")
        self.dimensions, self.words = dimensions, -(-dimensions // 64)

    def write(self, rows: np.ndarray, embeddings: np.ndarray) -> None:
        """Write embeddings, float32 [n, d] of unit length, to rows, int [n], ascending, and wait until they are on the disk.

        Raises OSError: the disk is full.
        """
        stored = in_8_bits(embeddings)
        for path, values in zip(self.paths, (stored, sketches(stored))):
            write_rows(path, rows, values)

    def open(self, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """int8 [rows, d] and uint64 [rows, words], mapped, not read. Raises OSError: a file is missing or too short."""
        return (
            mapped(self.paths[0], np.dtype(np.int8), rows, self.dimensions),
            mapped(self.paths[1], np.dtype(np.uint64), rows, self.words),
        )


def write_rows(path: Path, rows: np.ndarray, values: np.ndarray) -> None:
    """Write values [n, m] to rows, int [n], ascending, of a file, and wait until they are on the disk. Raises OSError."""
    runs = np.split(np.arange(len(rows)), np.flatnonzero(np.diff(rows) != 1) + 1)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        for run in runs:
            if len(run):
                _write_all(handle, values[run].tobytes(), int(rows[run[0]]) * values[0].nbytes, path)
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_all(handle: int, data: bytes, offset: int, path: Path) -> None:
    done = 0
    while done < len(data):
        try:
            done += os.pwrite(handle, data[done:], offset + done)
        except OSError as error:
            error.filename = str(path)
            raise


def mapped(path: Path, dtype: np.dtype, rows: int, columns: int) -> np.ndarray:
    """[rows, columns] of a file, mapped, not read. Raises OSError: the file is missing or too short."""
    if not rows:
        return np.zeros((0, columns), dtype)
    size = rows * columns * dtype.itemsize
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size < size:
            raise OSError(None, "shorter than its database says", str(path))
        found = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    return np.frombuffer(found, dtype).reshape(rows, columns)


def in_8_bits(embeddings: np.ndarray) -> np.ndarray:
    """int8 [n, d] of embeddings float32 [n, d]: their direction, scaled to its largest component."""
    return np.round(embeddings * (127 / np.abs(embeddings).max(axis=1, keepdims=True).clip(1e-12))).astype(np.int8)


def unit(stored: np.ndarray) -> np.ndarray:
    """float32 [n, d], unit length, of directions [n, d] of any length and type; what is zero stays zero."""
    embeddings = stored.astype(np.float32)
    embeddings /= np.sqrt(np.einsum("nd,nd->n", embeddings, embeddings))[:, None].clip(1e-12)
    return embeddings


def sketches(stored: np.ndarray) -> np.ndarray:
    """uint64 [n, words] of int8 [n, d]: bit i is set where component i is positive."""
    bits = np.packbits(stored > 0, axis=1)
    return np.pad(bits, ((0, 0), (0, -bits.shape[1] % 8))).view(np.uint64)


class Part(NamedTuple):
    """Embeddings that are searched, perhaps together with others. How much a query is like one: scale x cosine + bias."""

    stored: np.ndarray  # int8 [rows, d]
    signs: np.ndarray  # uint64 [rows, words]
    dead: np.ndarray  # int: rows that are left out
    scale: np.ndarray | float = 1.0  # float32 [rows], or of all
    bias: np.ndarray | float = 0.0  # float32 [rows], or of all


def nearest(
    parts: Sequence[Part], query: np.ndarray | Sequence[np.ndarray], pool: ThreadPoolExecutor, candidates: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Places int [n] and likenesses float32 [n] of the embeddings most like a query float32 [d], or one for each part, best
    first. Likeness is by the cosine where a query has unit length, else by their product.

    A place is a row of the parts, one after the other. Of at most so many candidates (default: CANDIDATES) all are compared
    exactly; of more, as many as that and those that seem to be as near as the last of them: what is found does not depend on
    which part a row is in.
    """
    candidates = candidates or CANDIDATES
    queries = [query] * len(parts) if isinstance(query, np.ndarray) else query
    starts = np.cumsum([0, *(len(part.stored) for part in parts)])
    dead = np.concatenate([np.zeros(0, int), *(start + part.dead for part, start in zip(parts, starts))])
    if starts[-1] - len(dead) <= candidates:
        places = np.setdiff1d(np.arange(starts[-1]), dead, assume_unique=True)
    else:
        scores = np.concatenate([_estimates(part, one, pool) for part, one in zip(parts, queries)])
        scores[dead] = -np.inf
        places = np.flatnonzero(scores >= np.partition(scores, len(scores) - candidates)[-candidates])
    found = np.empty(len(places), np.float32)

    def compare(at: tuple[int, int, int]) -> None:
        number, first, end = at
        part, rows = parts[number], places[first:end] - starts[number]
        # not by BLAS, in which the last bits of a row's result depend on the rows beside it
        values = part.stored[rows].astype(np.float32)
        lengths = np.sqrt(np.einsum("nd,nd->n", values, values)).clip(1e-12)
        cosines = np.einsum("nd,d->n", values, queries[number]) / lengths
        found[first:end] = _of_rows(part.scale, rows) * cosines + _of_rows(part.bias, rows)

    borders = np.searchsorted(places, starts)
    list(pool.map(compare, [(number, first, min(first + 1024, end))
                            for number, (start, end) in enumerate(zip(borders, borders[1:]))
                            for first in range(start, end, 1024)]))  # fmt: skip
    order = np.argsort(-found, kind="stable")
    return places[order], found[order]


def _of_rows(values: np.ndarray | float, rows: np.ndarray | slice) -> Any:
    return values[rows] if isinstance(values, np.ndarray) else np.float32(values)


def _estimates(part: Part, query: np.ndarray, pool: ThreadPoolExecutor) -> np.ndarray:
    """float32 [rows]: about how much the query is like each row, by its sketch."""
    step = max(float(np.abs(query).max()), 1e-12) / STEPS
    values = np.round(query / step).astype(np.int8)
    planes = _planes(values)
    # the signs of a row, as a vector of unit length, have a cosine of TO_SIGNS to it on average (RaBitQ)
    to_cosine = np.float32(step / (TO_SIGNS * np.sqrt(len(query))))
    middle, scores = np.float32(values.sum(dtype=int)), np.empty(len(part.signs), np.float32)

    def estimate(start: int) -> None:
        rows = slice(start, start + BLOCK)
        signs = part.signs[rows]
        sums = np.zeros(len(signs), np.int16)
        for word in range(signs.shape[1]):
            column = np.ascontiguousarray(signs[:, word])
            for weight, plane in planes:
                # each byte is at most 64: products of it with a weight of 8 do not fit into 8 bits
                sums += np.bitwise_count(column & plane[word]).astype(np.int16) * np.int16(weight)
        cosines = (2 * sums.astype(np.float32) - middle) * to_cosine
        scores[rows] = _of_rows(part.scale, rows) * cosines + _of_rows(part.bias, rows)

    list(pool.map(estimate, range(0, len(part.signs), BLOCK)))
    return scores


def _planes(values: np.ndarray) -> Sequence[tuple[int, np.ndarray]]:
    """Integers of 4 bits, int8 [d]: for each bit its weight, and uint64 [words]: where it is set.

    In two's complement, so that components of both signs are sums of these weights.
    """
    return [
        (weight, sketches((values[None] & bit != 0).astype(np.int8))[0]) for weight, bit in ((1, 1), (2, 2), (4, 4), (-8, 8))
    ]
