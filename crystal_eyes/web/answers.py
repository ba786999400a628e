"""What the page says about one picture."""

import io
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from crystal_eyes.images import PictureError, flatten, open_picture
from crystal_eyes.recognizer import Head, Recognizer

SHOWN_SIDE = 1000  # pixels of the picture that is shown again
HEAD_SIDE = 96
WORK_SIDE = 4096  # larger pictures are made smaller first: the detector sees 384 pixels, and heads in it are large enough
DECODING = threading.Lock()  # one at a time: 64 megapixels need some 0.8 GB until they are made smaller
LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    name: str  # of the picture's file
    error: str = ""  # a sentence; where there is one, nothing else is said
    size: tuple[int, int] = (1, 1)  # width, height of the picture; the heads' boxes are in its pixels
    picture: bytes = b""  # JPEG, no side longer than SHOWN_SIDE
    heads: tuple[Head, ...] = ()  # the surest of those found
    crops: tuple[bytes, ...] = ()  # JPEG of each head
    found: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        if self.error:
            return {"picture": self.name, "error": self.error}
        return {"picture": self.name, "found": self.found, "heads": [head.as_dict() for head in self.heads]}


def answer(recognizer: Recognizer, name: str, read: Callable[[], bytes], most_heads: int) -> Answer:
    """What is said about a picture, whatever it is. name: its owner's; read: gives its bytes or raises PictureError."""
    try:
        picture, scale = _decoded(read())
        found = recognizer.find(picture)
        shown = found[:most_heads]
        crops = tuple(_jpeg(_small(head.picture)) for head in shown)
        heads = [replace(head, box=tuple(scale * v for v in head.box)) for head in recognizer.name_heads(shown)]
        size = round(scale * picture.width), round(scale * picture.height)
        picture.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
        return Answer(name, "", size, _jpeg(picture), tuple(heads), crops, len(found))
    except PictureError as error:
        return Answer(name, f"This picture can't be used: {error}.")
    except MemoryError:
        return Answer(name, "This picture is too large for the memory that is left here: make it smaller and try again.")
    except Exception:  # a fault of ours; whoever serves the page finds it in the log
        LOG.exception("a picture was not answered")
        return Answer(name, "Something went wrong here with this picture. It was noted; try another one.")


def _decoded(data: bytes) -> tuple[Image.Image, float]:
    """An encoded picture in RGB, no side longer than WORK_SIDE, and how many times as large it was. Raises PictureError."""
    with DECODING:
        picture = open_picture(data)
        longer = max(picture.size)
        picture.thumbnail((WORK_SIDE, WORK_SIDE))
        return flatten(picture), longer / max(picture.size)


def _small(head: np.ndarray) -> Image.Image:
    picture = Image.fromarray(head)
    picture.thumbnail((HEAD_SIDE, HEAD_SIDE), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return picture


def _jpeg(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=88)
    return out.getvalue()
