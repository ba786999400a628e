"""Encoded pictures of many formats, shapes and modes, and damage done to them at random."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, features

EXAMPLES = Path(__file__).resolve().parents[2] / "crystal_eyes" / "web" / "examples"
SIZES = ((320, 240), (64, 64), (200, 300), (1, 1), (31, 900), (1200, 300), (3, 400))
ENCODINGS: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("PNG", "RGB", {}), ("PNG", "RGBA", {}), ("PNG", "L", {}), ("PNG", "LA", {}), ("PNG", "P", {"transparency": 3}),
    ("PNG", "1", {}), ("PNG", "I;16", {}), ("JPEG", "RGB", {}), ("JPEG", "RGB", {"progressive": True}), ("JPEG", "L", {}),
    ("JPEG", "CMYK", {}), ("GIF", "P", {}), ("GIF", "P", {"animated": True}), ("WEBP", "RGB", {}), ("WEBP", "RGBA", {}),
    ("WEBP", "RGB", {"lossless": True}), ("WEBP", "RGB", {"animated": True}), ("BMP", "RGB", {}), ("BMP", "P", {}),
    ("AVIF", "RGB", {}), ("AVIF", "RGBA", {}), ("TIFF", "RGB", {}),
)  # fmt: skip

Mutation = Callable[[np.random.Generator, bytes], bytes]


def encode(picture: Image.Image, kind: str, mode: str, given: dict[str, object], exif: bytes) -> bytes:
    options = dict(given)
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    else:
        picture = picture.convert(mode)
    if options.pop("animated", False):
        options |= {"save_all": True, "append_images": [picture.transpose(Image.Transpose.ROTATE_180)] * 3}
    if exif and kind in ("PNG", "JPEG", "WEBP", "AVIF"):
        options["exif"] = exif
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def hostile_exif(rng: np.random.Generator) -> bytes:
    """A TIFF directory whose entries have random tags, types, counts and offsets, orientation among them."""
    order = "<" if rng.random() < 0.5 else ">"
    entries = int(rng.integers(0, 6))
    out = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8) + struct.pack(f"{order}H", entries)
    for _ in range(entries):
        tag = int(rng.choice([0x0112, 0x8769, 0x8825, 0x0100, 0x927C, rng.integers(65536)]))
        kind, count = int(rng.integers(0, 15)), int(rng.choice([1, 1, 2, 1000, 2**31, 2**32 - 1]))
        value = int(rng.choice([1, 3, 6, 8, 9, 8, 0, 255, 2**32 - 1, rng.integers(2**32)]))
        out += struct.pack(f"{order}HHII", tag, kind, count, value)
    return b"Exif\0\0" + out + struct.pack(f"{order}I", int(rng.choice([0, 8, 2**31]))) + rng.bytes(int(rng.integers(0, 40)))


def flip_bits(rng: np.random.Generator, data: bytes) -> bytes:
    out = bytearray(data)
    for place in rng.integers(0, len(out), int(rng.integers(1, 20))):
        out[place] ^= 1 << int(rng.integers(8))
    return bytes(out)


def truncate(rng: np.random.Generator, data: bytes) -> bytes:
    return data[: int(rng.integers(0, len(data)))]


def edit_header(rng: np.random.Generator, data: bytes) -> bytes:
    out = bytearray(data)
    for place in rng.integers(0, min(len(out), 80), int(rng.integers(1, 5))):
        out[place] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.integers(256)]))
    return bytes(out)


def move_part(rng: np.random.Generator, data: bytes) -> bytes:
    """A part is repeated elsewhere, or missing."""
    start, end, to = sorted(rng.integers(0, len(data) + 1, 2).tolist()) + [int(rng.integers(0, len(data) + 1))]
    return data[:start] + data[end:] if rng.random() < 0.5 else data[:to] + data[start:end] + data[to:]


def claim_size(rng: np.random.Generator, data: bytes) -> bytes:
    """The header of a PNG, JPEG, GIF or BMP states another size; the check sum of a PNG is right."""
    width, height = (int(rng.choice([0, 1, 7, 500, 4000, 8000, 16_000, 65_535, 2**31 - 1, 2**32 - 1])) for _ in range(2))
    out = bytearray(data)
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        out[16:24] = struct.pack(">II", width, height)
        out[29:33] = struct.pack(">I", zlib.crc32(bytes(out[12:29])))
    elif data[:2] == b"\xff\xd8":
        for marker in (b"\xff\xc0", b"\xff\xc2"):
            if (place := data.find(marker)) > 0:
                out[place + 5 : place + 9] = struct.pack(">HH", height & 0xFFFF, width & 0xFFFF)
    elif data[:3] == b"GIF":
        out[6:10] = struct.pack("<HH", width & 0xFFFF, height & 0xFFFF)
    elif data[:2] == b"BM":
        out[18:26] = struct.pack("<II", width, height)
    return bytes(out)


def leave(rng: np.random.Generator, data: bytes) -> bytes:
    return data


MUTATIONS: tuple[Mutation, ...] = (leave, flip_bits, flip_bits, truncate, edit_header, edit_header, move_part, claim_size)


def mutated(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Descriptions and bytes of `count` pictures, the same for the same seed."""
    examples = [Image.open(path).convert("RGB") for path in sorted(EXAMPLES.glob("*.webp"))]
    encodings = [one for one in ENCODINGS if one[0] != "AVIF" or features.check("avif")]
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        kind, mode, options = encodings[number % len(encodings)]
        size = SIZES[int(rng.integers(len(SIZES)))]
        picture = examples[int(rng.integers(len(examples)))].resize(size)
        exif = hostile_exif(rng) if rng.random() < 0.4 else b""
        try:
            data = encode(picture, kind, mode, options, exif)
        except Exception:  # Pillow refuses to write some of this EXIF data
            data, exif = encode(picture, kind, mode, options, b""), b""
        change = MUTATIONS[int(rng.integers(len(MUTATIONS)))]
        yield f"{number} {kind} {mode} {size[0]}x{size[1]} {change.__name__}{' exif' if exif else ''}", change(rng, data)
