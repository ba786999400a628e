"""Reads the pictures that a collection refers to, from where they were found."""

import numpy as np
from PIL import Image, ImageDraw

from crystal_eyes.collection import videos
from crystal_eyes.collection.archives import PictureArchive
from crystal_eyes.collection.places import Place, address, is_stored
from crystal_eyes.data.cropping import crop_head
from crystal_eyes.data.storage import StorageError, read_bytes
from crystal_eyes.errors import UserError
from crystal_eyes.images import PictureError
from crystal_eyes.recognizer.pictures import pixels

LINE = (124, 58, 237)  # color of a box


def read_picture(place: Place) -> np.ndarray:
    """uint8 RGB [h, w, 3], upright. Raises PictureError: it can't be used any more; OSError: its file can't be read."""
    if place.time is not None:
        if not videos.available():
            raise PictureError(f"a moment of a video: {videos.EXTRA}")
        return videos.frame_at(place.file, place.time)
    return pixels(read_encoded(place) if place.member or is_stored(place.file) else place.file)


def read_encoded(place: Place) -> bytes:
    """The encoded picture in an archive, or in S3. Raises what read_picture raises."""
    if is_stored(place.file):
        try:
            return read_bytes(address(place.file))
        except StorageError as error:
            raise PictureError(str(error).removeprefix(f"{place}: ")) from None
    try:
        archive = PictureArchive(place.file)
    except UserError as error:
        raise PictureError(str(error)) from None
    try:
        return archive.read(place.member)
    except KeyError:
        raise PictureError("it is not in the archive any more") from None
    finally:
        archive.close()


def read_head(place: Place, box: np.ndarray, whole_picture: bool) -> np.ndarray:
    """uint8 RGB [h, w, 3]: a head of a picture, cut out by the crop rule. Raises what read_picture raises."""
    picture = read_picture(place)
    return picture if whole_picture else crop_head(picture, box)


def thumbnail(place: Place, box: tuple[float, float, float, float], side: int) -> Image.Image:
    """RGB, at most side x side pixels: a picture with the outline of a head. Raises what read_picture raises."""
    picture = Image.fromarray(read_picture(place))
    longer = max(picture.size)
    picture.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=3.0)
    scale = max(picture.size) / longer
    left, top, right, bottom = (round(scale * value) for value in box)
    if (right - left, bottom - top) != picture.size:  # else the picture is the head
        ImageDraw.Draw(picture).rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=LINE, width=2)
    return picture
