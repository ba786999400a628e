"""One folder per character, optionally inside folders of sets: `SET/CHARACTER/picture.png`."""

from pathlib import Path

from crystal_eyes.data.layouts.base import LabeledPicture, Resolver, walk, walked_files
from crystal_eyes.data.left_out import LeftOut
from crystal_eyes.data.names import normalize
from crystal_eyes.images import SUFFIXES


def detect(path: Path) -> bool:
    return path.is_dir()


def read(path: Path) -> tuple[list[LabeledPicture], LeftOut]:
    pictures, left_out, resolve = [], LeftOut(), Resolver()
    for folder, names in walk(path):
        parent = folder.parent.relative_to(path).as_posix() if folder != path else ""
        for name in names:
            file = (folder / name).relative_to(path).as_posix()
            if Path(name).suffix.lower() not in SUFFIXES:
                left_out.append((file, "not an image file"))
            elif folder == path:
                left_out.append((file, "not in a character's folder"))
            else:
                set_ = "" if parent == "." else normalize(parent)
                pictures.append(LabeledPicture(resolve(folder / name), file, normalize(folder.name), set=set_))
    return pictures, left_out


def files(path: Path) -> list[Path]:
    return sorted(walked_files(path))
