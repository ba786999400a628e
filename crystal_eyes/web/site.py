"""The static site: recognition in the visitor's browser. Writes the page that web/ builds, and a bundle for it, to a folder."""

import gzip
import hashlib
import io
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from crystal_eyes.detector.runtime import HeadDetector
from crystal_eyes.encoder.runtime import OnnxEncoder
from crystal_eyes.errors import UserError
from crystal_eyes.recognizer.bundle import CALIBRATION, DETECTOR, ENCODER, Bundle
from crystal_eyes.recognizer.enrolled_files import count_enrolled
from crystal_eyes.recognizer.gallery import compact
from crystal_eyes.recognizer.naming import Naming
from crystal_eyes.recognizer.stored import encoder_of
from crystal_eyes.web.packing import pack, pack_detector

FORMAT = 4  # of the site's bundle; the page reads one
# a wheel has the built page inside the package, a checkout where npm builds it
FOLDERS = (Path(__file__).parent / "built", Path(__file__).parents[2] / "web" / "dist")
PAGE, RUNTIME = "index.html", "runtime/ort.wasm.bin"
MANIFEST = "bundle/manifest.json"
KIND = "crystal-eyes site"  # in the manifest
THUMBNAILS = "bundle/thumbnails.bin"
FILES = "files.js"  # what the service worker, web/src/serviceWorker.ts, keeps for use without a connection


def page_folder() -> Path:
    """The built page. Raises UserError: this installation has none."""
    for folder in FOLDERS:
        if (folder / PAGE).is_file():
            return folder
    raise UserError("this installation has no built web page: run `make web`, which needs Node.js, or install a wheel")


def write_site(bundle: Bundle, folder: Path, page: Path) -> dict[str, int]:
    """Write a site to a folder: a new or empty one, or one with a site, which is replaced.

    bundle: with its enrolled characters; page: as page_folder returns it. Returns the bytes of each file, by path, that a
    visitor loads before the first answer. Raises UserError: the folder holds something else; nothing is half-written.
    """
    require_replaceable(folder)
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        shutil.copytree(page, part)
        sizes = write_bundle(bundle, part)
        write_files(part)
        if folder.is_dir():
            shutil.rmtree(folder)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return sizes


def describe(folder: Path, bundle: Bundle, sizes: Mapping[str, int]) -> list[str]:
    """What a user should know of a site that was written. sizes: as write_site returns them."""
    size = sum(sizes.values()) / 1e6
    lines = [
        f"{folder} can be put on any web server; a visitor loads {size:.1f} MB before the first answer",
        f"to try it: python -m http.server --bind 127.0.0.1 --directory {folder}",
    ]
    if own := len(bundle.enrolled):
        whom = "1 enrolled character and its pictures" if own == 1 else f"{own} enrolled characters and their pictures"
        lines.append(f"{folder} shows every visitor {whom}")
    if further := count_enrolled(bundle) - own:
        lines.append(f"{folder} is without {further:,} characters enrolled into {bundle.folder}: too many for a browser")
    return lines


def require_replaceable(folder: Path) -> None:
    """Raise UserError if a folder holds anything but a site that write_site has written."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        is_site = json.loads((folder / MANIFEST).read_text("utf-8"))["kind"] == KIND
    except (OSError, ValueError, KeyError, TypeError):
        is_site = False
    if not is_site:
        raise UserError(f"{folder} is not empty, and not a site that was written before: choose a new folder")


def write_bundle(bundle: Bundle, site: Path) -> dict[str, int]:
    """Write bundle/ of a site, which web/src/recognizer/bundle.ts reads, next to what is there.

    Returns the bytes of each of its files that a visitor loads before the first answer.
    """
    naming = Naming(bundle)
    known = {
        "characters": [[*one, original] for one, original in zip(naming.characters, naming.original_names)],
        "trained": naming.trained,
        "only_line": naming.only_line,
        "labels": naming.gallery_labels.tolist(),
        "thumbnails": [len(one) for one in naming.gallery.thumbnails] if any(naming.gallery.thumbnails) else [],
        "calibration": _calibration(bundle, naming),
    }
    files = {name: pack((bundle.trained / f"{name}.onnx").read_bytes()) for name in ("encoder", "classifier")}
    files["detector"] = pack_detector((bundle.trained / DETECTOR).read_bytes())
    files["means"], files["gallery"] = _npy(compact(naming.means)), _npy(compact(naming.gallery.embeddings))
    stored = {"expected": naming.enrolled_logits.expected, "line": naming.enrolled_logits.line_noise}
    for name, one in stored.items():
        files[name] = _npy(np.zeros((0, naming.means.shape[1]), np.float16) if one is None else coarse(one.stored()))
    weight, bias, line_bias = naming.layer
    files["enrolled"] = _npy(np.concatenate([weight, bias[:, None], line_bias[:, None]], axis=1))
    files["known"] = json.dumps(known, ensure_ascii=False, separators=(",", ":")).encode()
    (site / "bundle").mkdir()
    for name, data in files.items():  # not .gz: some servers announce such a file as encoded, and browsers then unpack it
        (site / "bundle" / f"{name}.bin").write_bytes(gzip.compress(data, mtime=0))
    sizes = {f"bundle/{name}.bin": (site / "bundle" / f"{name}.bin").stat().st_size for name in files}
    if (site / RUNTIME).exists():  # tests need the bundle alone
        sizes[RUNTIME] = (site / RUNTIME).stat().st_size
    more = {}
    if known["thumbnails"]:
        (site / THUMBNAILS).write_bytes(b"".join(naming.gallery.thumbnails))
        more[THUMBNAILS] = (site / THUMBNAILS).stat().st_size
    encoder = OnnxEncoder(bundle.trained / ENCODER)
    manifest = {
        "kind": KIND,
        "format": FORMAT,
        "encoder_digest": encoder_of(bundle),
        "detector": describe_detector(HeadDetector(bundle.trained / DETECTOR)),
        "encoder": {"image_size": encoder.image_size, "embedding_size": encoder.embedding_size},
        "files": sizes | more,
    }
    (site / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
    return sizes


def describe_detector(detector: HeadDetector) -> dict[str, Any]:
    """What the page has to know of a detector beside its network."""
    return {
        "image_size": detector.image_size,
        "confidence": detector.confidence,
        "calibration": detector.calibration and detector.calibration._asdict(),
    }


def write_files(site: Path) -> None:
    """Write files.js of a site: the SHA-256 of each of its files that a visitor loads, and one of them all, its version."""
    digests = {}
    for path in sorted(one for one in site.rglob("*") if one.is_file()):
        name = path.relative_to(site).as_posix()
        if name not in (FILES, THUMBNAILS):  # the page does not load thumbnails
            with open(path, "rb") as file:
                digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
    listing = json.dumps(digests, indent=1)
    version = hashlib.sha256(listing.encode()).hexdigest()[:16]
    (site / FILES).write_text(f'self.VERSION = "{version}";\nself.FILES = {listing};\n', "utf-8")


def _calibration(bundle: Bundle, naming: Naming) -> dict[str, Any]:
    """calibration.json, with what older bundles lack."""
    values: dict[str, Any] = bundle.json(CALIBRATION)
    key = "enrolled_unlikeness"
    return values if key in values else values | {key: naming.enrolled_unlikeness.as_dict()}


def coarse(values: np.ndarray) -> np.ndarray:
    """float16 of float16, rounded to 9 significant bits: gzip makes a seventh less of them, and no answer needs more."""
    return ((values.view(np.uint16) + 2) & 0xFFFC).view(np.float16)


def _npy(values: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, values, allow_pickle=False)
    return out.getvalue()
