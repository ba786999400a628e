"""The search in a collection: one picture to one answer, and the pictures that it shows."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from crystal_eyes.collection import Collection, SearchedHead
from crystal_eyes.collection.opening import read_head, thumbnail
from crystal_eyes.collection.storage import StoredHead
from crystal_eyes.errors import UserError
from crystal_eyes.images import PictureError
from crystal_eyes.recognizer import Recognizer
from crystal_eyes.recognizer.finding import Search
from crystal_eyes.web.answers import DECODING, Answer, decode, guarded, jpeg, scaled, small
from crystal_eyes.web.settings import Settings

THUMBNAIL_SIDE, CROP_SIDE = 220, 160  # pixels


@dataclass(frozen=True)
class Found(Answer):
    """What a collection holds of the characters in one picture; its size, picture and heads are unset."""

    searched: tuple[SearchedHead, ...] = ()  # the most confident of the heads in the picture

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        if self.error:
            return super().as_dict()
        return {"picture": self.name, "found": self.found, "heads": [one.as_dict() for one in self.searched]}


def search(recognizer: Recognizer, folder: Path, name: str, data: bytes, settings: Settings, how: Search) -> Found:
    """The answer to an encoded picture, searched as `how` says. Never raises: what goes wrong becomes the answer's error.

    folder: of the collection, which may be changed meanwhile, and be another one at the next request.
    """

    def look() -> Found:
        picture, scale = decode(data)
        try:
            with Collection.open(folder, recognizer) as collection:
                heads = recognizer.find(picture, detail=how.detail, head=how.head)
                searched = collection.search_heads(heads[: settings.max_heads], settings.max_matches)
        except UserError as error:  # it is gone, or was made again with another encoder
            return Found(name, f"The collection can't be searched: {error}.", 503)
        placed = tuple(SearchedHead(scaled(one.head, scale), one.matches) for one in searched if one.head)
        crops = tuple(jpeg(small(one.head.picture)) for one in searched if one.head)
        return Found(name, crops=crops, found=len(heads), searched=placed)

    found = guarded(name, look)
    return found if isinstance(found, Found) else replace(Found(name), error=found.error, status=found.status)


def thumbnail_of(folder: Path, head: int) -> bytes | None:
    """JPEG of the picture with a head of the collection, given by its id. None: no such head, or no such picture any more."""
    return _shown(folder, head, lambda found: thumbnail(found.place, found.box, THUMBNAIL_SIDE))


def head_of(folder: Path, head: int) -> bytes | None:
    """JPEG of a head of the collection, cut out of its picture, given by its id. None: as thumbnail_of."""

    def cut(found: StoredHead) -> Image.Image:
        picture = Image.fromarray(read_head(found.place, np.array(found.box), found.whole_picture))
        picture.thumbnail((CROP_SIDE, CROP_SIDE), Image.Resampling.BICUBIC, reducing_gap=3.0)
        return picture

    return _shown(folder, head, cut)


def _shown(folder: Path, head: int, show: Callable[[StoredHead], Image.Image]) -> bytes | None:
    try:
        with Collection.open(folder) as collection:
            found = collection.head(head)
        if found is None:
            return None
        with DECODING:
            return jpeg(show(found))
    except (UserError, PictureError, OSError, MemoryError):
        return None
