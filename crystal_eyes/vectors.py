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

import numpy as np

EMBEDDINGS, SKETCHES = "embeddings.int8", "sketches.bin"
CANDIDATES = 10_000  # rows that are compared exactly
BLOCK = 16_384  # rows that are compared at a time: they fit the cache of a core
STEPS = 7  # of a query's component on each side of zero


class Vectors:
    """The two files in a folder, with `rows` rows of `dimensions` components each.

    Rows beyond are what an interrupted process left, and are overwritten.
    """

    def __init__(self, folder: Path, dimensions: int):
        self.paths = (folder / EMBEDDINGS, folder / SKETCHES)
        self.dimensions, self.words = dimensions, -(-dimensions // 64)

    def write(self, rows: np.ndarray, embeddings: np.ndarray) -> None:
        """Write embeddings, float32 [n, d] of unit length, to rows, int [n], ascending, and wait until they are on the disk.

        Raises OSError: the disk is full.
        """
        stored = in_8_bits(embeddings)
        runs = np.split(np.arange(len(rows)), np.flatnonzero(np.diff(rows) != 1) + 1)
        for path, values in zip(self.paths, (stored, sketches(stored))):
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                for run in runs:
                    if len(run):
                        _write_all(handle, values[run].tobytes(), int(rows[run[0]]) * values[0].nbytes, path)
                os.fsync(handle)
            finally:
                os.close(handle)

    def open(self, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """int8 [rows, d] and uint64 [rows, words], mapped, not read. Raises OSError: a file is missing or too short."""
        return (
            _mapped(self.paths[0], np.dtype(np.int8), rows, self.dimensions),
            _mapped(self.paths[1], np.dtype(np.uint64), rows, self.words),
        )


def _write_all(handle: int, data: bytes, offset: int, path: Path) -> None:
    done = 0
    while done < len(data):
        try:
            done += os.pwrite(handle, data[done:], offset + done)
        except OSError as error:
            error.filename = str(path)
            raise


def _mapped(path: Path, dtype: np.dtype, rows: int, columns: int) -> np.ndarray:
    if not rows:
        return np.zeros((0, columns), dtype)
    size = rows * columns * dtype.itemsize
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size < size:
            raise OSError(None, "shorter than the collection says", str(path))
        mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    return np.frombuffer(mapped, dtype).reshape(rows, columns)


def in_8_bits(embeddings: np.ndarray) -> np.ndarray:
    """int8 [n, d] of embeddings float32 [n, d]: their direction, scaled to its largest component."""
    return np.round(embeddings * (127 / np.abs(embeddings).max(axis=1, keepdims=True).clip(1e-12))).astype(np.int8)


def unit(stored: np.ndarray) -> np.ndarray:
    """float32 [n, d], unit length, of int8 [n, d]."""
    embeddings = stored.astype(np.float32)
    embeddings /= np.sqrt(np.einsum("nd,nd->n", embeddings, embeddings))[:, None].clip(1e-12)
    return embeddings


def sketches(stored: np.ndarray) -> np.ndarray:
    """uint64 [n, words] of int8 [n, d]: bit i is set where component i is positive."""
    bits = np.packbits(stored > 0, axis=1)
    return np.pad(bits, ((0, 0), (0, -bits.shape[1] % 8))).view(np.uint64)


def nearest(
    stored: np.ndarray, signs: np.ndarray, query: np.ndarray, dead: np.ndarray, pool: ThreadPoolExecutor
) -> tuple[np.ndarray, np.ndarray]:
    """Rows int [n] and cosines float32 [n] of the embeddings nearest to a query float32 [d], most similar first.

    Of at most CANDIDATES rows all are compared exactly; of more, as many as that. dead: int rows that are left out.
    """
    if len(stored) - len(dead) <= CANDIDATES:
        rows = np.setdiff1d(np.arange(len(stored)), dead, assume_unique=True)
    else:
        scores = _estimates(signs, query, pool)
        scores[dead] = np.iinfo(scores.dtype).min
        rows = np.sort(np.argpartition(scores, len(scores) - CANDIDATES)[-CANDIDATES:])
    cosines = np.empty(len(rows), np.float32)

    def compare(start: int) -> None:
        part = slice(start, start + 1024)
        cosines[part] = unit(stored[rows[part]]) @ query

    list(pool.map(compare, range(0, len(rows), 1024)))
    order = np.argsort(-cosines, kind="stable")
    return rows[order], cosines[order]


def _estimates(signs: np.ndarray, query: np.ndarray, pool: ThreadPoolExecutor) -> np.ndarray:
    """int16 [rows]: in the order of the inner products of the sketches with the query."""
    planes = _planes(query)
    scores = np.empty(len(signs), np.int16)

    def estimate(start: int) -> None:
        part, out = signs[start : start + BLOCK], scores[start : start + BLOCK]
        out[:] = 0
        for word in range(part.shape[1]):
            column = np.ascontiguousarray(part[:, word])
            for weight, plane in planes:
                # each byte is at most 64: products of it with a weight of 8 do not fit into 8 bits
                out += np.bitwise_count(column & plane[word]).astype(np.int16) * np.int16(weight)

    list(pool.map(estimate, range(0, len(signs), BLOCK)))
    return scores


def _planes(query: np.ndarray) -> Sequence[tuple[int, np.ndarray]]:
    """The components of a query as 4-bit integers: for each bit its weight, and uint64 [words]: where it is set.

    In two's complement, so that components of both signs are sums of these weights.
    """
    values = np.round(query * (STEPS / max(float(np.abs(query).max()), 1e-12))).astype(np.int8)
    return [
        (weight, sketches((values[None] & bit != 0).astype(np.int8))[0]) for weight, bit in ((1, 1), (2, 2), (4, 4), (-8, 8))
    ]
