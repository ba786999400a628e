"""Pictures in videos, through PyAV (the extra `video`): one a second, and the first of each scene."""

import math
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from crystal_eyes.errors import UserError, said
from crystal_eyes.images import PictureError, require_usable

EXTRA = "pip install 'crystal-eyes[video]'"
SCENE = 0.12  # share of the gray range by which the thumbnail changes at a cut, on average
THUMBNAIL = 32  # pixels
AT_LEAST = 0.2  # seconds between two pictures: flashes are no scenes
MAX_SECONDS = 24 * 3600.0


class Frame(NamedTuple):
    time: float  # seconds
    picture: np.ndarray  # uint8 RGB [h, w, 3]


def available() -> bool:
    """Whether PyAV is installed."""
    try:
        _av()
    except ImportError:
        return False
    return True


def _av() -> Any:
    import av

    return av


def frames(path: Path, after: float = -1.0) -> Iterator[Frame]:
    """The pictures of a video later than a time, in the order of their times.

    Which ones does not depend on `after`. Raises UserError: not a video, or damaged before its end; then the pictures before
    the damage have been given.
    """
    av = _av()
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            if not container.streams.video:
                raise UserError(f"{path} has no pictures: it is not a video")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            length = (container.duration or 0) / av.time_base
            end = yield from _chosen(container.decode(stream), after)
            if end is None:
                raise UserError(f"{path} is damaged: none of its pictures can be read")
            if end < 0.9 * length - 2:  # a file that was cut off is no error to FFmpeg
                raise UserError(f"{path} is damaged: it ends after {end:.0f} of {length:.0f} seconds")
    except (av.error.FFmpegError, ValueError, PictureError) as error:
        raise UserError(f"{path} can't be read as a video to its end: {said(error)}") from None


def _chosen(decoded: Iterator[Any], after: float) -> Generator[Frame, None, float | None]:
    """The chosen pictures later than a time. Returns the time of the last picture of all, None if there is none."""
    second, last, before, end = -1, -math.inf, None, None
    for frame in decoded:
        if frame.time is None or not 0 <= frame.time <= MAX_SECONDS:
            continue
        require_usable(frame.width, frame.height)
        end = frame.time
        small = frame.reformat(THUMBNAIL, THUMBNAIL, format="gray").to_ndarray().astype(np.float32)
        is_cut = before is not None and float(np.abs(small - before).mean()) > 255 * SCENE
        before = small
        if int(frame.time) > second or (is_cut and frame.time - last >= AT_LEAST):
            second, last = max(second, int(frame.time)), frame.time
            if frame.time > after:
                yield Frame(round(frame.time, 3), _pixels(frame))
    return end


def _pixels(frame: Any) -> np.ndarray:
    """uint8 RGB [h, w, 3], turned as the video says, in steps of 90 degrees."""
    turns = round((getattr(frame, "rotation", 0) or 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns))


def duration(path: Path) -> float:
    """Seconds, 0 if unknown."""
    av = _av()
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            return max(0.0, (container.duration or 0) / av.time_base)
    except (av.error.FFmpegError, ValueError):
        return 0.0


def frame_at(path: Path, time: float) -> np.ndarray:
    """uint8 RGB [h, w, 3]: the picture at a time that `frames` gave. Raises PictureError: it is not there any more."""
    av = _av()
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            stream = container.streams.video[0]
            container.seek(max(0, int(time * av.time_base)), backward=True)
            for frame in container.decode(stream):
                if frame.time is not None and frame.time >= time - 0.001:
                    return _pixels(frame)
    except (av.error.FFmpegError, ValueError, IndexError) as error:
        raise PictureError(f"the video can't be read: {error}") from None
    raise PictureError(f"the video ends before {time:.2f} seconds")
