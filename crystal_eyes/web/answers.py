"""The answer for one picture."""

import io
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from crystal_eyes.detector.strips import MAX_ASPECT_RATIO
from crystal_eyes.images import PictureError, flatten, open_picture
from crystal_eyes.recognizer import Head, Recognizer
from crystal_eyes.recognizer.finding import FoundHead, Search

SHOWN_SIDE = 1000  # pixels of the picture as it is shown again
HEAD_SIDE = 96
WORK_SIDE = 4096  # larger pictures are scaled down first: the detector sees at most 1984 pixels, so heads stay large enough
DECODING = threading.Lock()  # one picture at a time: 64 megapixels take about 0.8 GB until they are scaled down
Placed = TypeVar("Placed", Head, FoundHead)
Answered = TypeVar("Answered", bound="Answer")
LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    name: str  # the picture's file name
    error: str = ""  # one sentence; if there is one, the fields below are unset
    status: int = 200  # HTTP
    size: tuple[int, int] = (1, 1)  # width, height of the picture; the heads' boxes are in its pixels
    picture: bytes = b""  # JPEG, no side longer than SHOWN_SIDE
    heads: tuple[Head, ...] = ()  # the most confident of those found
    crops: tuple[bytes, ...] = ()  # JPEG of each head
    found: int = 0  # heads in the picture

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        if self.error:
            return {"picture": self.name, "error": self.error}
        return {"picture": self.name, "found": self.found, "heads": [head.as_dict() for head in self.heads]}


def answer(recognizer: Recognizer, name: str, data: bytes, max_heads: int, search: Search) -> Answer:
    """The answer to an encoded picture, searched as `search` says. Never raises: what goes wrong becomes the answer's error."""

    def look() -> Answer:
        picture, scale = decode(data)
        found = recognizer.find(picture, detail=search.detail, head=search.head)
        shown = found[:max_heads]
        crops = tuple(jpeg(small(head.picture)) for head in shown)
        heads = [scaled(head, scale) for head in recognizer.name_heads(shown)]
        size = round(scale * picture.width), round(scale * picture.height)
        picture.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
        return Answer(name, "", 200, size, jpeg(picture), tuple(heads), crops, len(found))

    return guarded(name, look)


def guarded(name: str, look: Callable[[], Answered]) -> Answered | Answer:
    """What look returns; an answer with an error if it raises anything."""
    try:
        return look()
    except PictureError as error:
        return Answer(name, f"This picture can't be used: {error}.", 422)
    except MemoryError:
        return Answer(name, "This picture is too large for the memory left on the server: make it smaller and try again.", 503)
    except Exception:  # a bug in Crystal Eyes; whoever runs the server finds it in the log
        LOG.exception("a picture could not be answered")
        return Answer(name, "Something went wrong with this picture. The error was logged; try another picture.", 500)


def decode(data: bytes) -> tuple[Image.Image, float]:
    """The picture in RGB, scaled down to WORK_SIDE, a strip to as many pixels as a square of it, and by what factor it was
    larger. Raises PictureError.
    """
    with DECODING:
        picture = open_picture(data)
        longer, shorter = max(picture.size), min(picture.size)
        side = WORK_SIDE if longer <= MAX_ASPECT_RATIO * shorter else max(WORK_SIDE, WORK_SIDE**2 // shorter)
        picture.thumbnail((side, side))
        return flatten(picture), longer / max(picture.size)


def scaled(head: Placed, scale: float) -> Placed:
    left, top, right, bottom = head.box
    return replace(head, box=(scale * left, scale * top, scale * right, scale * bottom))


def small(head: np.ndarray) -> Image.Image:
    picture = Image.fromarray(head)
    picture.thumbnail((HEAD_SIDE, HEAD_SIDE), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return picture


def jpeg(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=88)
    return out.getvalue()
