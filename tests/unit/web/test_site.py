"""The folder that `crystal-eyes web` writes."""

import gzip
import hashlib
import json
import re

import numpy as np
import onnx
import pytest

from crystal_eyes.cli import main
from crystal_eyes.detector.calibration import ENTRY, Calibration
from crystal_eyes.detector.fit_calibration import store
from crystal_eyes.detector.runtime import HeadDetector
from crystal_eyes.errors import UserError
from crystal_eyes.recognizer import Recognizer
from crystal_eyes.recognizer.bundle import DETECTOR, MEANS, copy_bundle, read_bundle
from crystal_eyes.recognizer.gallery import from_stored
from crystal_eyes.web import site
from crystal_eyes.web.packing import expand
from tests.bundles import add_character
from tests.runs import draw_head


@pytest.fixture
def built(tmp_path, monkeypatch):
    """Stands for the page that npm builds."""
    folder = tmp_path / "dist"
    (folder / "runtime").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html>")
    (folder / site.RUNTIME).write_bytes(b"module")
    monkeypatch.setattr(site, "FOLDERS", (folder,))
    return folder


def read(folder, name):
    return gzip.decompress((folder / "bundle" / f"{name}.bin").read_bytes())


def test_a_site_holds_the_page_and_the_bundle(built, bundle_folder, tmp_path, capsys):
    out = tmp_path / "site"
    assert main(["web", "--bundle", str(bundle_folder), "--output", str(out)]) == 0
    assert "MB before the first answer" in capsys.readouterr().out
    assert (out / "index.html").read_text() == "<!doctype html>"
    manifest = json.loads((out / site.MANIFEST).read_text("utf-8"))
    assert all((out / name).stat().st_size == size for name, size in manifest["files"].items())
    bundle = read_bundle(bundle_folder)
    assert manifest["encoder_digest"] == bundle.listing["files"]["encoder.onnx"]
    known = json.loads(read(out, "known"))
    assert [tuple(row[:2]) for row in known["characters"]] == bundle.characters
    assert [row[2] for row in known["characters"]] == bundle.original_names
    assert known["trained"] == len(bundle.characters) and known["only_line"] == []
    thumbnails = Recognizer(bundle).naming.gallery.thumbnails
    assert (out / site.THUMBNAILS).read_bytes() == b"".join(thumbnails)
    assert known["thumbnails"] == [len(one) for one in thumbnails]
    (out / "means.npy").write_bytes(read(out, "means"))
    assert np.allclose(from_stored(np.load(out / "means.npy")), np.load(bundle_folder / MEANS), atol=0.01)
    for name in ("detector", "encoder", "classifier"):
        assert len(expand(read(out, name))) == (bundle_folder / f"{name}.onnx").stat().st_size


def test_enrolled_characters_are_part_of_the_site_and_that_is_said(built, bundle_folder, tmp_path, capsys):
    copy_bundle(bundle_folder, tmp_path / "bundle")
    heads = [draw_head(90, number) for number in range(2)]
    embeddings = Recognizer.load(bundle_folder).embed([np.asarray(head) for head in heads])
    add_character(tmp_path / "bundle", "New", "", embeddings, heads)
    out = tmp_path / "site"
    assert main(["web", "--bundle", str(tmp_path / "bundle"), "--output", str(out)]) == 0
    assert "shows every visitor 1 enrolled character and its pictures" in capsys.readouterr().out
    known = json.loads(read(out, "known"))
    assert known["characters"][-1][0] == "New" and known["trained"] == len(known["characters"]) - 1
    assert known["labels"].count(known["trained"]) == 2 and len(known["only_line"]) == 1


def without_calibration(path):
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {one.key: one.value for one in model.metadata_props if one.key != ENTRY})
    onnx.save(model, path)


def test_a_site_says_how_its_detector_is_calibrated(built, bundle_folder, tmp_path):
    copy_bundle(bundle_folder, tmp_path / "bundle")
    bundle = read_bundle(tmp_path / "bundle")
    for calibration, expected in [
        (None, {"confidence": 0.4, "calibration": None}),
        (Calibration(0.75, -0.25), {"confidence": 0.5, "calibration": {"slope": 0.75, "intercept": -0.25}}),
    ]:
        if calibration:
            store(tmp_path / "bundle" / DETECTOR, calibration)
        else:
            without_calibration(tmp_path / "bundle" / DETECTOR)
        bundle.relist(list(bundle.listing["files"]))
        site.write_site(read_bundle(tmp_path / "bundle"), tmp_path / "site", built)
        detector = json.loads((tmp_path / "site" / site.MANIFEST).read_text("utf-8"))["detector"]
        assert detector == expected | {"image_size": HeadDetector(tmp_path / "bundle").image_size}


def test_a_site_is_replaced_and_nothing_else_is(built, bundle_folder, tmp_path, capsys):
    bundle, out, other = read_bundle(bundle_folder), tmp_path / "site", tmp_path / "other"
    out.mkdir()  # an empty folder is fine
    site.write_site(bundle, out, built)
    (out / "old").touch()
    site.write_site(bundle, out, built)
    assert (out / "index.html").exists() and not (out / "old").exists()
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty, and not a site"):
        site.write_site(bundle, other, built)
    assert main(["web", "--bundle", str(bundle_folder), "--output", str(other)]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert [path.name for path in other.iterdir()] == ["mine.txt"]
    with pytest.raises(UserError, match="is not empty, and not a site"):
        site.write_site(bundle, other / "mine.txt", built)


def test_nothing_is_half_written(built, bundle_folder, tmp_path):
    copy_bundle(bundle_folder, tmp_path / "bundle")
    bundle, out = read_bundle(tmp_path / "bundle"), tmp_path / "site"
    (tmp_path / "bundle" / "classifier.onnx").write_bytes(b"damaged after it was checked")
    with pytest.raises(UserError, match=r"classifier\.onnx"):
        site.write_site(bundle, out, built)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "dist"]


def test_without_a_built_page_one_line_says_what_to_do(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(site, "FOLDERS", (tmp_path / "none",))
    assert main(["web", "--output", str(tmp_path / "site")]) == 1
    error = capsys.readouterr().err
    assert (
        error
        == "crystal-eyes: this installation has no built web page: run `make web`, which needs Node.js, or install a wheel\n"
    )
    assert not (tmp_path / "site").exists()


def test_the_service_worker_is_told_every_file_that_a_visitor_loads(built, bundle_folder, tmp_path):
    out = tmp_path / "site"
    site.write_site(read_bundle(bundle_folder), out, built)
    version, files = listed(out)
    paths = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert files.keys() == paths - {site.FILES, site.THUMBNAILS}
    assert all(hashlib.sha256((out / name).read_bytes()).hexdigest() == digest for name, digest in files.items())
    site.write_site(read_bundle(bundle_folder), out, built)
    assert listed(out) == (version, files)  # the same content is no update
    (built / "index.html").write_text("<!doctype html><title>new</title>")
    site.write_site(read_bundle(bundle_folder), out, built)
    assert listed(out)[0] != version


def listed(folder):
    version, files = re.fullmatch(
        r'self\.VERSION = "(\w+)";\nself\.FILES = (.*);\n', (folder / site.FILES).read_text(), re.S
    ).groups()
    return version, json.loads(files)
