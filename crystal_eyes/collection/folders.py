"""Puts the pictures of groups into folders, as people prepare training sets: a folder a group, nothing is overwritten."""

import os
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from crystal_eyes.collection.groups import Group
from crystal_eyes.collection.opening import read_encoded, read_picture
from crystal_eyes.collection.places import Place, is_stored
from crystal_eyes.errors import UserError, said
from crystal_eyes.images import PictureError
from crystal_eyes.progress import track

NO_GROUP = "no group"
UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]+')  # not allowed in file names on some system
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # names of devices on Windows
MAX_BYTES = 150  # of a name: file systems allow 255, and a number may follow


@dataclass
class Exported:
    written: int = 0  # pictures in the folders now
    present: int = 0  # of them, those that were there before
    problems: list[str] = field(default_factory=list)  # a line for each picture that could not be put there


def export(groups: Sequence[Group], outliers: Iterable[Place], folder: Path, link: bool) -> Exported:
    """Put every picture of a group into the group's folder, and the pictures of other heads into one for no group.

    link: symbolic links instead of copies; what is in archives, videos or S3 is written in any case. A file that is
    there is kept: an equal one counts as present, beside another one the picture gets a number. Raises UserError where the
    folder can't be one.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is not a folder: choose another one")
    names: dict[str, int] = {}
    done = Exported()
    parts: list[tuple[str, Iterable[Place]]] = [(one.title, one.places) for one in groups] + [(NO_GROUP, outliers)]
    wanted = []
    for title, places in parts:
        name = safe_name(title)
        names[name.casefold()] = names.get(name.casefold(), 0) + 1
        if names[name.casefold()] > 1:  # a character of another series, or one that differs in case only
            name = f"{name} ({names[name.casefold()]})"
        wanted += [(folder / name, place) for place in dict.fromkeys(places)]
    for home, place in track(wanted, len(wanted), "put pictures into folders", "pictures"):
        try:
            home.mkdir(parents=True, exist_ok=True)
            done.present += not _put(place, home, link)
            done.written += 1
        except (PictureError, UserError) as error:
            done.problems.append(f"{place}: {error}")
        except FileNotFoundError:
            done.problems.append(f"{place}: it is not there any more, index its folder again")
        except OSError as error:
            if error.filename != str(place.file):  # the folder can't be written, and so it goes on with all pictures
                raise
            done.problems.append(f"{place}: {said(error)}")
    return done


def safe_name(text: str) -> str:
    """A text as a file name that every system allows and that stays in its folder."""
    name = UNSAFE.sub("_", text).strip(" .")
    name = name.encode("utf-8", "replace")[:MAX_BYTES].decode("utf-8", "ignore").strip(" .") or "_"
    return f"_{name}" if RESERVED.fullmatch(name) else name


def _put(place: Place, home: Path, link: bool) -> bool:
    """Whether the picture was not there yet."""
    if place.time is not None:
        name, source = f"{place.file.stem} {place.time:.2f}.png", None
    elif place.member:
        name, source = place.member.replace("\\", "/").rsplit("/", 1)[-1], None
    else:
        name, source = place.file.name, None if is_stored(place.file) else place.file
    stem, suffix = os.path.splitext(name)
    stem, suffix, number = safe_name(stem), safe_name(suffix.lstrip(".")), 1
    part = home / f".{os.getpid()}.part"
    try:
        if link and source:
            os.symlink(os.path.realpath(source, strict=True), part)
        elif source:
            shutil.copyfile(source, part)
        elif place.time is not None:
            Image.fromarray(read_picture(place)).save(part, "PNG")
        else:
            part.write_bytes(read_encoded(place))
        while True:
            target = home / (f"{stem}.{suffix}" if number == 1 else f"{stem} ({number}).{suffix}")
            try:
                os.close(os.open(target, os.O_CREAT | os.O_EXCL))  # whoever else writes here finds the name taken
            except FileExistsError:
                if _is_same(part, target):
                    return False
                number += 1
            else:
                os.replace(part, target)
                return True
    finally:
        part.unlink(missing_ok=True)


def _is_same(one: Path, two: Path) -> bool:
    if one.is_symlink() or two.is_symlink():
        return one.is_symlink() and two.is_symlink() and os.readlink(one) == os.readlink(two)
    return two.is_file() and one.stat().st_size == two.stat().st_size and one.read_bytes() == two.read_bytes()
