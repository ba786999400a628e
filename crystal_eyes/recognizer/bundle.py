"""The bundle: everything that recognition needs in one folder, every file listed with its digest. No pickles.

bundle.json       format, digests of all files and of what the bundle was made from
detector.onnx     picture -> heads
encoder.onnx      head -> embedding
classifier.onnx   embedding -> one logit per character: one linear layer, whichever classifier it comes from
characters.json   [character, series, original name, training heads], in the order of the logits
means.npy         float16 [characters, d]: mean embedding of each character's training heads
expected.npy      float16 [d + 2, d]: where the points of enrolled characters are expected (classifiers/expected_points.py)
line.npy          float16 [d, d]: how heads in line art or gray vary (classifiers/line_noise.py); where the classifier is lda
gallery.*, thumbnails.bin   reference heads
calibration.json  temperatures and calibration scores, separately for color and line art; with line.npy, also what it adds
                  to the biases; "one_length": embeddings are scaled by expected.npy before the classifier and line.npy
README.md         the model card
enrolled/ID/      one folder per character that was added later
many-ID/          where they are many: the further ones, see stored.py; of millions, several folders. Without digests, as each
                  has transactions of its own

The characters that a user enrolls into the released bundle have a listing of their own, in the user's folder: it names only the
files in `enrolled`, and with `"trained": "released"` the bundle whose other files they share.
"""

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from crystal_eyes.errors import UserError, said
from crystal_eyes.recognizer import gallery
from crystal_eyes.recognizer.places import LISTING, RELEASED, released_folder
from crystal_eyes.vector_store import copy_stores

FORMAT = 4
OLDEST = 2  # that is read: its characters.json has only character and series; before 4, no embedding is scaled
DETECTOR, ENCODER, CLASSIFIER = "detector.onnx", "encoder.onnx", "classifier.onnx"
CHARACTERS, MEANS, CALIBRATION, CARD = "characters.json", "means.npy", "calibration.json", "README.md"
EXPECTED = "expected.npy"  # bundles of before have none
LINE_NOISE = "line.npy"  # bundles of before, and of other classifiers than lda, have none
ONE_LENGTH = "one_length"  # key of calibration.json
ENROLLED, CHARACTER = "enrolled", "character.json"  # folder of the characters added later; what is known of each
MANY = "many"  # entry of the listing: the names of the folders of further enrolled characters; one name in those of before
REBUILD = "rebuild or re-download the bundle"
ATTEMPTS, PAUSE = 20, 0.05  # to read a bundle that is being changed; seconds between them
Loaded = TypeVar("Loaded")
SAFE = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)*")  # file names in a listing: inside the folder, nothing hidden


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files have been checked."""

    folder: Path
    listing: dict[str, Any]
    base: "Bundle | None" = None  # the bundle that it shares the trained files of: its own folder has enrolled characters only

    @property
    def trained(self) -> Path:
        """The folder of all files that have nothing to do with enrolled characters."""
        return self.base.folder if self.base else self.folder

    @property
    def characters(self) -> list[tuple[str, str]]:
        """(character, series) in the order of the classifier's logits."""
        return [(row[0], row[1]) for row in self.json(CHARACTERS)]

    @property
    def original_names(self) -> list[str]:
        """The characters' names in their own script, in the order of the logits; "" where unknown."""
        return [row[2] if len(row) > 2 else "" for row in self.json(CHARACTERS)]

    @property
    def training_heads(self) -> list[int | None]:
        """How many heads each character was trained from, in the order of the logits; None where unknown."""
        return [row[3] if len(row) > 3 else None for row in self.json(CHARACTERS)]

    @property
    def enrolled(self) -> list[Path]:
        """The folders of the characters added later, in the order of their names."""
        names = {Path(name).parts[1] for name in self.listing["files"] if name.startswith(f"{ENROLLED}/")}
        return [self.folder / ENROLLED / name for name in sorted(names)]

    @property
    def many(self) -> list[Path]:
        """The folders of the further enrolled characters, in the order in which they were begun."""
        return [self.folder / name for name in many_names(self.listing)]

    def has(self, name: str) -> bool:
        """Whether it has one of the trained files that not every bundle has."""
        return name in (self.base or self).listing["files"]

    def json(self, name: str) -> Any:
        """The contents of one of the trained files."""
        return json.loads((self.trained / name).read_text("utf-8"))

    def relist(self, files: list[str]) -> None:
        """Write the listing of its folder anew, for other files of enrolled characters."""
        more = {name: self.listing[name] for name in ("trained", MANY) if name in self.listing}
        write_listing(self.folder, self.listing["source"], files, self.listing["format"], **more)

    def use_many(self, names: Iterable[str]) -> "Bundle":
        """The bundle with these further folders of enrolled characters too, once its listing has been written."""
        changed = replace(self, listing=self.listing | {MANY: [*many_names(self.listing), *names]})
        changed.relist(list(self.listing["files"]))
        return changed


class OutdatedError(UserError):
    """The enrolled characters of `bundle` were embedded with another encoder than that of its base."""

    def __init__(self, bundle: Bundle):
        super().__init__(f"the characters in {bundle.folder} were enrolled with an earlier release")
        self.bundle = bundle


def many_names(listing: Mapping[str, Any]) -> list[str]:
    """The names of the folders of further enrolled characters."""
    names = listing.get(MANY, [])
    return names if isinstance(names, list) else [names]


def read_bundle(folder: str | Path) -> Bundle:
    """Open a bundle and check every file. Raises UserError if it is no bundle, has another format, or lacks a file.

    A bundle that another process changes meanwhile is checked again.
    """
    return open_bundle(folder, lambda bundle: bundle)


def open_bundle(folder: str | Path, load: Callable[[Bundle], Loaded]) -> Loaded:
    """What load makes of a bundle whose files have been checked, all of them as they were at one moment.

    The files of enrolled characters come and go while a bundle is in use: whatever fails while its listing changes is repeated.
    Raises UserError like read_bundle, and what load raises.
    """
    folder = Path(folder)
    for attempt in range(ATTEMPTS):
        version = listing_version(folder)
        try:
            bundle = _read(folder)
            loaded = load(bundle)
            # what was enrolled is the only thing that changes, so loaded is made of the files that the listing names
            _check(bundle, [name for name in bundle.listing["files"] if name.startswith(f"{ENROLLED}/")])
            return loaded
        except Exception:
            if version is None or attempt == ATTEMPTS - 1 or listing_version(folder) == version:
                raise
        time.sleep(PAUSE)
    raise AssertionError("unreachable")


def listing_version(folder: Path) -> tuple[int, int, int] | None:
    """Differs after every change of a bundle; None if there is none."""
    try:
        status = (folder / LISTING).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(folder: Path) -> Bundle:
    try:
        listing = json.loads((folder / LISTING).read_text("utf-8"))
        version, files = listing["format"], dict(listing["files"])
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{folder} is not a bundle: it contains no {LISTING}; give the folder that does") from None
    except OSError as error:
        raise UserError(f"{folder / LISTING} can't be read ({said(error)}): check its permissions and the disk") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{folder / LISTING} is damaged or not that of a bundle: {REBUILD}") from None
    if version not in range(OLDEST, FORMAT + 1):
        remedy = REBUILD if version in range(OLDEST) else "update crystal-eyes"
        raise UserError(f"{folder / LISTING} has format {version}, this version reads {OLDEST} to {FORMAT}: {remedy}")
    for name in [*files, *many_names(listing)]:
        if not (isinstance(name, str) and SAFE.fullmatch(name)):
            raise UserError(f"{folder / LISTING} names {name!r}, which is not a valid file name of a bundle: {REBUILD}")
    base = _base(folder) if listing.get("trained") == RELEASED else None
    missing = set() if base else {DETECTOR, ENCODER, CLASSIFIER, CHARACTERS, MEANS, CALIBRATION, *gallery.FILES} - files.keys()
    for folder_name in {name.rsplit("/", 1)[0] for name in files if name.startswith(f"{ENROLLED}/")}:
        missing |= {f"{folder_name}/{name}" for name in (CHARACTER, *gallery.FILES)} - files.keys()
    if missing:
        raise UserError(f"{folder / LISTING} does not list {', '.join(sorted(missing))}: {REBUILD}")
    bundle = Bundle(folder, listing, base)
    _check(bundle, files)
    if base and base.listing["files"][ENCODER] != listing.get("source", {}).get("encoder"):
        raise OutdatedError(bundle)
    return bundle


def _base(folder: Path) -> Bundle:
    """The bundle that the characters in a folder were enrolled into."""
    released = released_folder()
    if released is None:
        raise UserError(f"{folder} holds characters enrolled into the released recognizer, which is not installed")
    return _read(released)


def _check(bundle: Bundle, names: Iterable[str]) -> None:
    """Raise UserError if one of these files is missing or has another digest than listed."""
    for name in names:
        path = bundle.folder / name
        try:
            with open(path, "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise UserError(f"{path} is missing: {REBUILD}") from None
        except OSError as error:
            raise UserError(f"{path} can't be read ({said(error)}): check its permissions and the disk") from None
        if found != bundle.listing["files"][name]:
            raise UserError(f"{path} was changed after the bundle was written: {REBUILD}")


def copy_bundle(source: Path, folder: Path) -> None:
    """Copy a bundle's files to a new folder: those that its listing names, as they were at one moment."""

    def copy(bundle: Bundle) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        files: dict[str, str] = {}
        for one in filter(None, (bundle.base, bundle)):
            files |= one.listing["files"]
            for name in one.listing["files"]:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(one.folder / name, folder / name)
        listing, more = (bundle.base or bundle).listing, {}
        if bundle.many:
            copy_stores({one: folder / one.name for one in bundle.many})
            more[MANY] = many_names(bundle.listing)
        write_listing(folder, listing["source"], list(files), listing["format"], **more)
        _check(Bundle(folder, listing | {"files": files}), files)

    open_bundle(source, copy)


def write_characters(folder: Path, rows: list[list[str | int]]) -> None:
    """Write characters.json. rows: character, series, original name ("" where unknown), training heads."""
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / CHARACTERS).write_text(f"[\n{lines}\n]\n", "utf-8")


def write_listing(folder: Path, source: dict[str, Any], files: list[str], version: int = FORMAT, **more: Any) -> None:
    """Write bundle.json for these files of the folder.

    source: digests of what the bundle was made from, plain values; more: other entries of the listing.
    """
    digests = {}
    for name in sorted(files):
        with open(folder / name, "rb") as file:
            digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
    text = json.dumps(
        {"format": version, "source": source, "files": digests} | more, indent=1, sort_keys=True, ensure_ascii=False
    )
    part = folder / f"{LISTING}.part"
    try:
        with open(part, "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(folder / LISTING)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
