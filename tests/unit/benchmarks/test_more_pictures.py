import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from benchmarks.detector import more_pictures
from benchmarks.detector.more_pictures import Source, read_sources, write_pictures
from crystal_eyes.detector.training.annotated_pictures import load
from crystal_eyes.detector.training.labels import read_labels


def picture(color, size=(200, 100)) -> bytes:
    encoded = io.BytesIO()
    Image.new("RGBA", size, color).save(encoded, "PNG")
    return encoded.getvalue()


GREEN, CLEAR = picture((0, 200, 0, 255)), picture((0, 0, 0, 0))
ARCHIVES = {"pypi": "made-1-py3-none-any.whl", "npm": "made-1.tgz", "debian": "made_1_all.deb"}


def source(file: str, index: str, path: str, data: bytes) -> Source:
    return Source(file, index, "made", "1", ARCHIVES[index], path, "MIT", hashlib.sha256(data).hexdigest(), "1")


def label(file: str, heads: list) -> dict:
    return {"file": file, "width": 100, "height": 50, "monochrome": 0, "heads": heads}


@pytest.fixture
def packages(tmp_path):
    """A wheel with a green picture and an npm package with a transparent one."""
    folder = tmp_path / "packages"
    folder.mkdir()
    with zipfile.ZipFile(folder / ARCHIVES["pypi"], "w") as wheel:
        wheel.writestr("made/green.png", GREEN)
    with tarfile.open(folder / ARCHIVES["npm"], "w:gz") as package:
        member = tarfile.TarInfo("package/clear.png")
        member.size = len(CLEAR)
        package.addfile(member, io.BytesIO(CLEAR))
    return folder


SOURCES = [source("a/1.webp", "pypi", "made/green.png", GREEN), source("b/1.webp", "npm", "package/clear.png", CLEAR)]
LABELS = {"a/1.webp": label("a/1.webp", [[10, 10, 30, 30]]), "b/1.webp": label("b/1.webp", [])}


def test_the_folder_is_labels_that_training_reads(packages, tmp_path):
    out = tmp_path / "out"
    assert write_pictures(out, SOURCES, LABELS, packages) == []
    (green, clear), left_out = read_labels(out)
    assert not left_out and green.size == clear.size == (100, 50)  # shrunk as when it was labeled
    assert green.boxes.tolist() == [[10, 10, 30, 30]] and len(clear.boxes) == 0
    np.testing.assert_allclose(load(green)[0].mean((0, 1)), (0, 200, 0), atol=3)
    assert load(clear)[0].min() > 250  # transparent parts are white


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="needs dpkg-deb")
def test_a_debian_package_is_read(tmp_path):
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text("Package: made\nVersion: 1\nArchitecture: all\nMaintainer: A\nDescription: made\n")
    (tree / "usr").mkdir()
    (tree / "usr" / "green.png").write_bytes(GREEN)
    subprocess.run(["dpkg-deb", "--build", str(tree), str(tmp_path / ARCHIVES["debian"])], check=True, capture_output=True)
    sources = [source("a/1.webp", "debian", "usr/green.png", GREEN)]
    assert write_pictures(tmp_path / "out", sources, LABELS, tmp_path) == []
    assert read_labels(tmp_path / "out")[0][0].size == (100, 50)


def test_a_second_run_adds_what_was_missing_and_keeps_the_rest(packages, tmp_path):
    out, wheel = tmp_path / "out", packages / ARCHIVES["pypi"]
    hidden = wheel.rename(tmp_path / "hidden")
    (problem,) = write_pictures(out, SOURCES, LABELS, packages)
    assert "made 1, 1 pictures" in problem and ARCHIVES["pypi"] in problem
    assert [row["file"] for row in json.loads((out / "heads.json").read_text())] == ["b/1.webp"]
    (out / "b/1.webp").write_bytes(b"kept")
    hidden.rename(wheel)
    assert write_pictures(out, SOURCES, LABELS, packages) == []
    assert (out / "b/1.webp").read_bytes() == b"kept" and (out / "a/1.webp").is_file()


@pytest.mark.parametrize(
    "path, said", [("made/green.png", "differs from the labeled"), ("made/red.png", "is not in the package")]
)
def test_another_picture_than_the_labeled_one_is_not_written(packages, tmp_path, path, said):
    (problem,) = write_pictures(tmp_path / "out", [source("a/1.webp", "pypi", path, CLEAR)], LABELS, packages)
    assert path in problem and said in problem
    assert not (tmp_path / "out").exists()


def test_a_damaged_package_is_one_line(packages, tmp_path):
    for archive in packages.iterdir():
        archive.write_bytes(archive.read_bytes()[:60])
    problems = write_pictures(tmp_path / "out", SOURCES, LABELS, packages)
    assert len(problems) == 2 and all("can't be read" in line and "\n" not in line for line in problems)


def test_a_missing_package_ends_with_a_status_that_is_not_zero(packages, tmp_path, monkeypatch, capsys):
    table, labels = tmp_path / "table.csv", tmp_path / "labels.json"
    table.write_text(",".join(Source._fields) + "\n" + ",".join(SOURCES[0]) + "\n")
    labels.write_text(json.dumps(list(LABELS.values())))
    monkeypatch.setattr(more_pictures, "SOURCES", table)
    monkeypatch.setattr(more_pictures, "LABELS", labels)
    more_pictures.main([str(tmp_path / "out"), "--packages", str(packages)])
    assert "1 of 1 pictures, 1 heads" in capsys.readouterr().out
    (packages / ARCHIVES["pypi"]).unlink()
    with pytest.raises(SystemExit) as ended:
        more_pictures.main([str(tmp_path / "other"), "--packages", str(packages)])
    assert ended.value.code and ARCHIVES["pypi"] in capsys.readouterr().out
    with pytest.raises(SystemExit, match="is not a folder"):
        more_pictures.main([str(table), "--packages", str(packages)])


def test_the_labels_of_the_project_fit_their_pictures():
    sources, labels = read_sources(), more_pictures.read_labels()
    assert [one.file for one in sources] == [*labels] and len({one.sha256 for one in sources}) == len(sources)
    for one, row in zip(sources, labels.values()):
        assert one.index in ARCHIVES and len(one.sha256) == 64 and one.license and max(row["width"], row["height"]) <= 1280
        boxes = np.array(row["heads"], float).reshape(-1, 4)
        assert (boxes[:, 2:] > boxes[:, :2]).all() and (boxes >= 0).all()
        assert (boxes[:, [2, 3]] <= [row["width"], row["height"]]).all()
