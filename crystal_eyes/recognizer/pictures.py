"""What can be given as a picture, and its pixels."""

import os
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image

from crystal_eyes.errors import UserError
from crystal_eyes.images import PictureError, flatten, open_picture, require_usable, upright
from crystal_eyes.paths import plain_path

MAX_BYTES = 512_000_000  # of an encoded picture: more than an uncompressed one of MAX_PIXELS
ACCEPTED = "give encoded bytes, a path, an open binary file, a Pillow picture or a uint8 array [h, w], [h, w, 3] or [h, w, 4]"


@runtime_checkable
class BinaryFile(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


# encoded bytes, a path, an open file, a Pillow picture, RGB(A) or gray values
Picture = bytes | bytearray | memoryview | str | Path | BinaryFile | Image.Image | np.ndarray


def pixels(picture: Picture) -> np.ndarray:
    """uint8 RGB [h, w, 3] of encoded bytes, a file, a Pillow picture, or a uint8 array [h, w], [h, w, 3] or [h, w, 4].

    Raises PictureError: not usable; OSError: not a readable file; TypeError: none of these.
    """
    if isinstance(picture, np.ndarray):
        picture = _from_array(picture)
    elif not isinstance(picture, Image.Image):
        return np.asarray(flatten(open_picture(_encoded(picture))))
    require_usable(picture.width, picture.height)
    try:
        return np.asarray(flatten(upright(picture)))
    except (OSError, ValueError, SyntaxError) as error:  # a lazily opened file that is damaged, a closed one, an exotic mode
        raise PictureError(f"damaged: {error}") from None


def _from_array(values: np.ndarray) -> Image.Image:
    if values.dtype != np.uint8:
        raise PictureError(f"an array of {values.dtype}: convert it to uint8, from 0 to 255")
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] not in (3, 4)):
        raise PictureError(f"an array of shape {list(values.shape)}: its shape must be [h, w], [h, w, 3] or [h, w, 4]")
    require_usable(values.shape[1], values.shape[0])
    return Image.fromarray(np.ascontiguousarray(values))


def _encoded(source: object) -> bytes:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    if isinstance(source, (str, os.PathLike)):
        try:
            path = plain_path(os.fsdecode(source))
        except UserError as error:
            raise PictureError(str(error)) from None
        with path.open("rb") as file:
            return _read(file)
    if isinstance(source, BinaryFile):
        seek = getattr(source, "seek", None)
        if seek is not None and getattr(source, "seekable", lambda: True)():
            seek(0)  # as Pillow does: it may have just been written
        return _read(source)
    raise TypeError(f"{type(source).__name__} is not a picture: {ACCEPTED}")


def _read(file: BinaryFile) -> bytes:
    data = file.read(MAX_BYTES + 1)
    if not isinstance(data, bytes):
        raise TypeError("a file opened as text is not a picture: open it with mode 'rb'")
    if len(data) > MAX_BYTES:
        raise PictureError(f"too large: more than {MAX_BYTES // 1_000_000} MB")
    return data
