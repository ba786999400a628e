"""Writes what the tests of web/ compare with: pictures, and what Crystal Eyes makes of them in Python.

    python -m web.write_vectors            in the root of the repository; writes web/vectors/

Pictures are the page's examples and random pixels. The networks are the released ones as the page expands them, so that
differences are those of the code and not of the weights' storage.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper
from PIL import Image

from crystal_eyes.boxes import nms
from crystal_eyes.data.cropping import crop_head
from crystal_eyes.detector import resizing, strips
from crystal_eyes.detector.calibration import ENTRY, Calibration
from crystal_eyes.detector.defaults import HIGH
from crystal_eyes.detector.runtime import HeadDetector, letterbox
from crystal_eyes.detector.tiles import tiles
from crystal_eyes.errors import UserError
from crystal_eyes.image_stats import hashes_of_sides, is_monochrome
from crystal_eyes.names import normalize_text
from crystal_eyes.recognizer import Recognizer
from crystal_eyes.recognizer.bundle import DETECTOR, EXPECTED, LINE_NOISE, MEANS, Bundle, copy_bundle, read_bundle
from crystal_eyes.recognizer.enrollment import enroll
from crystal_eyes.recognizer.finding import Search, find_heads
from crystal_eyes.recognizer.gallery import compact, from_stored
from crystal_eyes.recognizer.pictures import pixels
from crystal_eyes.web.packing import expand, pack, pack_detector
from crystal_eyes.web.site import coarse, describe_detector, write_bundle

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "web" / "vectors"
EXAMPLES = sorted((ROOT / "crystal_eyes" / "web" / "examples").iterdir())
KERNELS = {"bicubic": Image.Resampling.BICUBIC, "box": Image.Resampling.BOX}
PACKED = {"encoder.onnx": pack, "classifier.onnx": pack, DETECTOR: pack_detector}
CALIBRATION = Calibration(1.3, -0.2)  # any that changes which heads are found
NAMES = [
    "Rei", "  Rei\t\u3000 Ayanami\n", "\uff32\uff45\uff49\uff11", "\uff9a\uff72", "\u30ec\u30a4", "e\u0301", "Ranma \u00bd",
    "\u200bRei\u00ad", "\ufeffRei", "\u200dRei", "\u0915\u094d\u200d\u0937", "\U0001f469\u200d\U0001f4bb", "a\u200db",
    "\u2800", "",
    "\x1cRei\x85x", "\uff08\u4eee\uff09", "x" * 201, "\U0001d49c" * 200, "\uff76\uff9e",
]  # fmt: skip


def main() -> None:
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    rng = np.random.default_rng(0)
    write("resizing", list(resizing_cases(rng)))
    write("boxes", list(box_cases(rng)))
    write("heads", list(head_cases(rng)))
    write("names", [name_case(text) for text in NAMES])
    given, searched = pictures(), more_to_search()
    for name, picture in (given | searched).items():
        (OUT / f"{name}.rgb").write_bytes(picture.tobytes())
    trained, enrolled = (OUT / "python" / name for name in ("trained", "enrolled"))
    expanded_bundle(ROOT / "models" / "recognizer", trained)
    copy_bundle(trained, enrolled)
    enroll(enrolled, "Somebody New", None, [EXAMPLES[2]])
    for name in ("trained", "enrolled"):
        bundle = read_bundle(OUT / "python" / name)
        (OUT / name).mkdir()
        write_bundle(bundle, OUT / name)
        write(f"{name}_answers", [answer(Recognizer(bundle, threads=1), *one) for one in given.items()])
    for name, calibration in {"calibrated": CALIBRATION, "uncalibrated": None}.items():
        detector = calibrated(trained / DETECTOR, calibration)
        write(name, {"settings": describe_detector(detector), "cases": list(search_cases(detector, given | searched))})
    shutil.rmtree(OUT / "python")


def write(name: str, values: Any) -> None:
    (OUT / f"{name}.json").write_text(json.dumps(values), "utf-8")


def stored(picture: np.ndarray) -> dict[str, Any]:
    """A picture uint8 [h, w, 3] in JSON."""
    return {"width": picture.shape[1], "height": picture.shape[0], "data": picture.tobytes().hex()}


def resizing_cases(rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    for sides, target in [
        ((96, 64), (192, 192)), ((200, 300), (192, 192)), ((401, 397), (32, 32)), ((7, 5), (32, 32)), ((1, 1), (12, 9)),
        ((192, 192), (192, 192)), ((192, 100), (192, 192)), ((500, 3), (64, 64)),
    ]:  # fmt: skip
        noise = rng.integers(0, 256, (sides[1], sides[0], 3), dtype=np.uint8)
        for kernel, resample in KERNELS.items():
            expected = np.asarray(Image.fromarray(noise).resize(target, resample))
            yield {"kernel": kernel, "picture": stored(noise), "expected": stored(expected)}
        yield {"kernel": "bilinear", "picture": stored(noise), "expected": stored(resizing.resize(noise, *target))}
        boxed, scales, pads = letterbox(noise, 160)
        yield {"kernel": "letterbox", "picture": stored(noise), "expected": stored(boxed), "scales": scales, "pads": pads}


def box_cases(rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    for width, height in [(100, 100), (300, 100), (301, 100), (100, 1234), (5000, 130), (20000, 50), (40, 1000), (200, 15),
                          (1280, 720), (777, 1801), (4000, 2999)]:  # fmt: skip
        parts = strips.windows(width, height)
        found = np.repeat(np.array(parts, np.float32).reshape(-1, 4), 4, axis=0)
        corner = rng.uniform(0, 0.8, (len(found), 2)) * (found[:, 2:] - found[:, :2]) + found[:, :2]
        side = rng.uniform(0.1, 0.9, (len(found), 1)) * min(width, height)
        boxes = np.concatenate([corner, np.minimum(corner + side, found[:, 2:])], axis=1).astype(np.float32)
        scores = rng.uniform(0.4, 1, len(boxes)).round(2).astype(np.float32)
        cut = strips.is_cut(boxes, found, width, height)
        rank = np.where(rng.uniform(size=len(boxes)) < 0.2, -1, cut)
        shown, tile_side = tiles(width, height)
        yield {
            "width": width, "height": height, "windows": parts, "found_in": found.tolist(), "boxes": boxes.tolist(),
            "scores": scores.tolist(), "cut": cut.tolist(), "rank": rank.tolist(),
            "merged": strips.merge(boxes, scores, rank, 0.6).tolist(), "tiles": shown, "tile_side": tile_side,
            "nms": nms(boxes, scores, 0.3).tolist(),
        }  # fmt: skip


def head_cases(rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    for box in [
        (10, 12, 30, 40),
        (-3.5, 2, 9.5, 17),
        (50, 30, 64, 48),
        (0, 0, 64, 48),
        (20.5, 20.5, 21.2, 21),
        (60, 44, 63, 47),
    ]:
        noise = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        head = crop_head(noise, np.array(box, np.float32))
        yield {"picture": stored(noise), "box": box, "head": stored(head), **statistics(head)}
    for hue in (0, 8, 14, 15, 16, 17, 30, 90):  # around the limit
        gray = np.repeat(rng.integers(80, 160, (70, 90, 1), dtype=np.uint8), 3, axis=2)
        gray[..., 0] += np.uint8(hue)
        yield {"picture": stored(gray), "box": None, "head": stored(gray), **statistics(gray)}


def statistics(head: np.ndarray) -> dict[str, Any]:
    picture = Image.fromarray(head)
    return {"monochrome": is_monochrome(picture), "hashes": [one.tobytes().hex() for one in hashes_of_sides(picture)]}


def name_case(text: str) -> dict[str, str | None]:
    """normalized: None if it is no name."""
    try:
        return {"given": text, "normalized": normalize_text(text)}
    except UserError:
        return {"given": text, "normalized": None}


def pictures() -> dict[str, np.ndarray]:
    """uint8 RGB by name: the examples, and what takes other ways through the rules than they do."""
    found = {path.stem.replace(" ", "_"): pixels(path) for path in EXAMPLES}
    three, two, one, line = found.values()
    found["head"] = pixels(Image.fromarray(one).resize((150, 150), Image.Resampling.BICUBIC))
    found["crop"] = one[40:330, 60:350]
    found["strip"] = np.concatenate(
        [np.asarray(Image.fromarray(p).resize((400, 300))) for p in (three, two, one, line)], axis=1
    )
    found["page"] = np.concatenate([np.asarray(Image.fromarray(p).resize((200, 150))) for p in (two, one, two, line)], axis=0)
    found["large"] = np.asarray(Image.fromarray(two).resize((2100, 1560), Image.Resampling.BICUBIC))
    found["nothing"] = np.full((1200, 1100, 3), (200, 220, 240), np.uint8)
    found["narrow"] = np.full((9, 400, 3), 255, np.uint8)
    return {name: np.ascontiguousarray(picture) for name, picture in found.items()}


def more_to_search() -> dict[str, np.ndarray]:
    """uint8 RGB by name: faces whose borders are cut off, of which the detector is not sure, and a crowd of small heads."""
    three, two, *_ = found = [pixels(path) for path in EXAMPLES]
    parts = {
        "faint": (two, (123, 188, 240, 304)),
        "too_faint": (two, (452, 182, 548, 278)),
        "fainter": (three, (309, 201, 362, 254)),
    }
    cut = {
        name: Image.fromarray(one).crop(box).resize((100, 100), Image.Resampling.BICUBIC) for name, (one, box) in parts.items()
    }
    small = [np.asarray(Image.fromarray(one).resize((160, 120))) for one in found]
    rows = [np.concatenate(2 * (small[number:] + small[:number]), axis=1) for number in (0, 1, 2, 3, 0, 1)]
    return {name: np.asarray(one) for name, one in cut.items()} | {"crowd": np.concatenate(rows, axis=0)}


def search_cases(detector: HeadDetector, given: dict[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    cases: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in ("faint", "too_faint", "fainter", "crowd")]
    cases += [
        (name, {"detail": HIGH}) for name in ("crowd", "strip", "page", "head", "faint", "2_two_heads", "nothing", "narrow")
    ]
    cases += [(name, {"head": True}) for name in ("3_one_head", "narrow")]
    for name, search in cases:
        height, width = given[name].shape[:2]
        heads = [
            {"box": head.box, "confidence": head.confidence, "whole_picture": head.whole_picture}
            for head in find_heads(detector, given[name], Search(**search))
        ]
        yield {"name": name, "width": width, "height": height, "search": search, "heads": heads}


def expanded_bundle(source: Path, folder: Path) -> None:
    """A copy of a bundle with the numbers that the page computes with."""
    copy_bundle(source, folder)
    bundle = Bundle(folder, json.loads((folder / "bundle.json").read_text("utf-8")))
    for name, packing in PACKED.items():
        (folder / name).write_bytes(expand(packing((folder / name).read_bytes())))
    means = np.load(folder / MEANS).astype(np.float32)
    np.save(folder / MEANS, from_stored(compact(means)))
    for name in (EXPECTED, LINE_NOISE):
        np.save(folder / name, coarse(np.load(folder / name)))
    bundle.relist(list(bundle.listing["files"]))


def calibrated(path: Path, calibration: Calibration | None) -> HeadDetector:
    """A detector file's detector with another calibration, which is written to the file; None: without one."""
    model = onnx.load(path)
    entries = {one.key: one.value for one in model.metadata_props if one.key != ENTRY}
    helper.set_model_props(model, entries | ({ENTRY: str(calibration)} if calibration else {}))
    onnx.save(model, path)
    return HeadDetector(path, threads=1)


def answer(recognizer: Recognizer, name: str, picture: np.ndarray) -> dict[str, Any]:
    found = recognizer.find(picture)
    return {
        "name": name,
        "width": picture.shape[1],
        "height": picture.shape[0],
        "heads": [head.as_dict() for head in recognizer.name_heads(found)],
        "embeddings": recognizer.embed([head.picture for head in found]).tolist(),
    }


if __name__ == "__main__":
    main()
