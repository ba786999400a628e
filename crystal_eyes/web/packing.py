"""Packs ONNX files for the static site: weights in 8 bits and gzip, a third of the bytes that a visitor would have to load.

Only storage is changed: the page expands a packed file to an ONNX file with 16-bit weights before it runs it. The format is
own code and not ONNX's DequantizeLinear, so that neither onnx is needed to write the site nor a kernel for it in the browser.

A packed file is: the length of a header (uint32), the header (JSON: a list of [kind, rows, columns]), and the parts that it
lists. A part of the kind "copy" is `columns` bytes as they are; one of "float16" or "float32" is a matrix of weights: rows
float32 scales and rows x columns int8. All numbers are little-endian.
"""

import json
import math
import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

COPY = "copy"
KINDS = {1: "float32", 10: "float16"}  # by onnx.TensorProto.DataType: what weights are stored as
TYPES: dict[str, np.dtype[Any]] = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2")}
MIN_PACKED = 1024  # numbers: smaller tensors stay as they are
MIN_PACKED_IN_DETECTOR = 20_000
BOXES = "dfl.conv.weight"  # how the name of a weight ends that computes boxes, in detectors of ultralytics
# field numbers of onnx.proto, https://github.com/onnx/onnx
GRAPH, INITIALIZER = 7, 5
DIMS, DATA_TYPE, NAME, RAW_DATA = 1, 2, 8, 9
VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5


def pack(model: bytes) -> bytes:
    """A packed ONNX file. Raises ValueError: not an ONNX file."""
    return _pack(model, lambda name, size: size >= MIN_PACKED)


def pack_detector(model: bytes) -> bytes:
    """A packed ONNX file of a head detector that finds the same boxes: weights that would move them stay as they are.

    These are the small ones, and those of the layers that compute boxes and confidences. A network without layers of that name
    stays as it is as a whole. Raises ValueError: not an ONNX file.
    """
    last = next((name.removesuffix(BOXES) for name, *_ in _weights(model) if name.endswith(BOXES)), "")
    return _pack(model, lambda name, size: size >= MIN_PACKED_IN_DETECTOR and not name.startswith(last))


def _pack(model: bytes, is_packed: Callable[[str, int], bool]) -> bytes:
    """is_packed: of a matrix of weights, by its name and how many numbers it has."""
    header: list[tuple[str, int, int]] = []
    parts: list[bytes] = []
    end = 0

    def copy_to(place: int) -> None:
        header.append((COPY, 1, place - end))
        parts.append(model[end:place])

    for name, kind, rows, start, stop in _weights(model):
        values = np.frombuffer(model[start:stop], TYPES[kind])
        if not is_packed(name, values.size):
            continue
        copy_to(start)
        scales, packed = quantize(values.astype(np.float32).reshape(rows, -1))
        header.append((kind, rows, packed.shape[1]))
        parts += [scales.astype("<f4").tobytes(), packed.tobytes()]
        end = stop
    copy_to(len(model))
    text = json.dumps(header, separators=(",", ":")).encode()
    return b"".join([struct.pack("<I", len(text)), text, *parts])


def expand(packed: bytes) -> bytes:
    """The ONNX file that the page makes of a packed one."""
    (length,) = struct.unpack_from("<I", packed)
    place, out = 4 + length, []
    for kind, rows, columns in json.loads(packed[4:place]):
        if kind == COPY:
            out.append(packed[place : place + columns])
            place += columns
            continue
        scales = np.frombuffer(packed, "<f4", rows, place)
        values = np.frombuffer(packed, np.int8, rows * columns, place + 4 * rows).reshape(rows, columns)
        out.append((values * scales[:, None]).astype(TYPES[kind]).tobytes())
        place += rows * (4 + columns)
    return b"".join(out)


def quantize(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float32 [rows] scales and int8 [rows, columns], whose product is nearest to float32 [rows, columns]."""
    scales = np.abs(values).max(axis=1) / np.float32(127)
    whole = np.round(values / np.where(scales > 0, scales, 1)[:, None])
    return scales, whole.astype(np.int8)


def _weights(model: bytes) -> Iterator[tuple[str, str, int, int, int]]:
    """Name, kind, rows, and first and last byte of the numbers of each initializer that can be packed, in the file's order."""
    for number, start, stop in _fields(model, 0, len(model)):
        if number == GRAPH:
            for number, first, last in _fields(model, start, stop):
                if number == INITIALIZER:
                    yield from _tensor(model, first, last)


def _tensor(model: bytes, start: int, stop: int) -> Iterator[tuple[str, str, int, int, int]]:
    dims: list[int] = []
    name, kind, raw = "", 0, (0, 0)
    for number, first, last in _fields(model, start, stop):
        if number == DIMS:
            while first < last:  # one number, or all of them one after the other
                value, first = _varint(model, first)
                dims.append(value)
        elif number == DATA_TYPE:
            kind, _ = _varint(model, first)
        elif number == NAME:
            name = model[first:last].decode("utf-8", "replace")
        elif number == RAW_DATA:
            raw = first, last
    size = math.prod(dims)
    if kind in KINDS and len(dims) > 1 and size and raw[1] - raw[0] == size * TYPES[KINDS[kind]].itemsize:
        yield name, KINDS[kind], dims[0], *raw


def _fields(data: bytes, place: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Number, first and last byte of each field of a protobuf message."""
    while place < stop:
        key, place = _varint(data, place)
        wire = key & 7
        start = place
        if wire == VARINT:
            _, place = _varint(data, place)
        elif wire == BYTES:
            length, start = _varint(data, place)
            place = start + length
        elif wire in (FIXED_64, FIXED_32):
            place += 8 if wire == FIXED_64 else 4
        else:
            raise ValueError("not an ONNX file")
        if place > stop:
            raise ValueError("not an ONNX file, or truncated")
        yield key >> 3, start, place


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number of variable length, and the place after it."""
    value = shift = 0
    while True:
        if place >= len(data) or shift > 63:
            raise ValueError("not an ONNX file, or truncated")
        byte = data[place]
        value, shift, place = value | (byte & 127) << shift, shift + 7, place + 1
        if byte < 128:
            return value, place
