import json

import numpy as np
import pytest
from PIL import Image

from benchmarks.detector import corrections


@pytest.fixture
def labels(tmp_path, monkeypatch):
    """A folder with two labeled pictures, of which the second one is corrected."""
    folder = tmp_path / "drawings"
    folder.mkdir()
    rows = []
    for name in ("a.png", "b.png"):
        Image.new("RGB", (100, 80)).save(folder / name)
        rows.append({"file": name, "heads": [[10, 10, 30, 30]]})
    (folder / "heads.json").write_text(json.dumps(rows))
    monkeypatch.setattr(corrections, "FILE", tmp_path / "corrections.json")
    corrections.FILE.write_text(json.dumps({"drawings": {"b.png": [[20, 20, 40, 40], [60, 50, 120, 70]]}}))
    return folder


def test_a_correction_replaces_all_boxes_of_its_picture(labels):
    first, second = corrections.corrected(labels)
    np.testing.assert_array_equal(first.boxes, [[10, 10, 30, 30]])
    np.testing.assert_array_equal(second.boxes, [[20, 20, 40, 40], [60, 50, 100, 70]])  # clipped to the picture


def test_a_folder_of_another_name_keeps_its_labels(labels):
    other = labels.rename(labels.with_name("others"))
    assert [one.boxes.tolist() for one in corrections.corrected(other)] == [[[10, 10, 30, 30]]] * 2


def test_a_corrected_picture_that_is_missing_is_named(labels):
    corrections.FILE.write_text(json.dumps({"drawings": {"c.png": []}}))
    with pytest.raises(ValueError, match="c.png"):
        corrections.corrected(labels)


def test_every_correction_of_the_project_is_boxes_with_a_size():
    for files in json.loads(corrections.Path(corrections.__file__).with_name("corrections.json").read_text()).values():
        for boxes in files.values():
            boxes = np.array(boxes, float).reshape(-1, 4)
            assert (boxes[:, 2:] > boxes[:, :2]).all() and (boxes >= 0).all()
